/** Pieces of work that each take a while, one after another, with a turn of the event loop for everybody else before each. */
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface Pace {
  /** Runs the work when those before it are done. Rejects with what it throws. */
  readonly run: <T>(work: () => T) => Promise<T>;
}

/** Whoever calls waits, so the callers bound how many wait. */
export function createPace(): Pace {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run: (work) => {
      const mine = last.then(async () => {
        await nextTurn();
        return work();
      });
      last = mine.catch(() => undefined);
      return mine;
    },
  };
}
