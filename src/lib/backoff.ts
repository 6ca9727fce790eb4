export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  /** Default 2. */
  readonly factor?: number;
  /** Share of the delay that is random, 0 to 1. Default 0. */
  readonly jitter?: number;
}

/** Delay in milliseconds before attempt `failures + 1`, after `failures` (≥ 1) failures. `fraction` is in [0, 1). */
export function backoffMs(failures: number, options: BackoffOptions, fraction = 0): number {
  const factor = options.factor ?? 2;
  const plain = Math.min(options.maxMs, options.baseMs * factor ** Math.min(Math.max(0, failures - 1), 60));
  return plain * (1 + (options.jitter ?? 0) * fraction);
}
