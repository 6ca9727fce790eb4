/** Work that takes a while, in pieces, with turns of the event loop for everybody else in between. */
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

/** How long one may work before others have their turn, in ms. */
const turnMs = 8;

/** `items.map(work)`, where the list may be long. Rejects with what `work` throws, and with the signal's reason when it aborts. */
export async function mapInTurns<T, R>(items: Iterable<T>, work: (item: T) => R, signal: AbortSignal): Promise<R[]> {
  const results: R[] = [];
  let began = performance.now();
  for (const item of items) {
    results.push(work(item));
    if (performance.now() - began < turnMs) continue;
    await nextTurn();
    signal.throwIfAborted();
    began = performance.now();
  }
  return results;
}
