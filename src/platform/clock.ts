import { setTimeout as sleepFor } from 'node:timers/promises';

export interface Timer {
  readonly cancel: () => void;
}

/** The only source of time: tests step a fake (fake-clock.ts). */
export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds on a clock that never jumps. */
  readonly monotonic: () => number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Calls `fn` once after `ms`. A pending timer does not keep the process alive. */
  readonly after: (ms: number, fn: () => void) => Timer;
}

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    await sleepFor(ms, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) });
  },
  after: (ms, fn) => {
    const handle = setTimeout(fn, ms);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};
