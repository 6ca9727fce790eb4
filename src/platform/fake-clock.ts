import type { Clock } from './clock.ts';

export interface FakeClock extends Clock {
  /** Moves time forward, firing what falls due in order, and lets pending promises run in between. */
  readonly advance: (ms: number) => Promise<void>;
  /** How many timers and sleeps are waiting. */
  readonly waiting: () => number;
}

/** A clock that stands still until `advance` is called. */
export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let elapsed = 0;
  let sequence = 0;
  let pending: { due: number; sequence: number; fn: () => void }[] = [];
  const add = (ms: number, fn: () => void) => {
    const entry = { due: elapsed + Math.max(0, ms), sequence: sequence++, fn };
    pending.push(entry);
    return {
      cancel: () => {
        pending = pending.filter((p) => p !== entry);
      },
    };
  };
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    after: add,
    sleep: (ms, signal) =>
      new Promise<void>((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason);
          return;
        }
        const timer = add(ms, () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
        const onAbort = (): void => {
          timer.cancel();
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
      }),
    advance: async (ms) => {
      const end = elapsed + ms;
      await settle();
      for (;;) {
        const next = pending.filter((p) => p.due <= end).sort((a, b) => a.due - b.due || a.sequence - b.sequence)[0];
        if (next === undefined) break;
        pending = pending.filter((p) => p !== next);
        elapsed = Math.max(elapsed, next.due);
        next.fn();
        await settle();
      }
      elapsed = end;
      await settle();
    },
    waiting: () => pending.length,
  };
}
