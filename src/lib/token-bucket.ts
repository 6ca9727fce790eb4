/** Lets `rate` a second through, and up to `burst` at once when there was nothing for a while. */
export interface TokenBucket {
  /** False: too many. `nowMs` never goes back. */
  readonly take: (nowMs: number) => boolean;
}

export function createTokenBucket(rate: number, burst: number): TokenBucket {
  let tokens = burst;
  let last: number | undefined;
  return {
    take: (nowMs) => {
      tokens = Math.min(burst, tokens + ((nowMs - (last ?? nowMs)) / 1000) * rate);
      last = nowMs;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
