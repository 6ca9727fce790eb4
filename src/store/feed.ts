import type { Revision, StoreEvent } from './contract.ts';
import { StoreError } from './contract.ts';

interface Subscriber {
  readonly prefix: string;
  readonly push: (events: readonly StoreEvent[]) => void;
  readonly end: (error: StoreError | undefined) => void;
}

/** How many events may wait for a driver's watcher before it is ended with 'compacted'. */
const maxWaiting = 100_000;

/**
 * Hands a driver's events to its watchers, of which there are few: the watch cache, and tests. Events come in revision
 * order, none twice.
 */
export class Feed {
  readonly #subscribers = new Set<Subscriber>();

  get size(): number {
    return this.#subscribers.size;
  }

  publish(events: readonly StoreEvent[]): void {
    for (const subscriber of [...this.#subscribers]) {
      const own = subscriber.prefix === '' ? events : events.filter((e) => e.entry.key.startsWith(subscriber.prefix));
      if (own.length > 0) subscriber.push(own);
    }
  }

  /** Ends all watchers, with an error or (undefined) without. */
  end(error: StoreError | undefined): void {
    for (const subscriber of [...this.#subscribers]) subscriber.end(error);
  }

  /**
   * What is published from now on, preceded by `backlog`, whose events are all older, and an empty batch. Ends quietly when
   * the signal aborts or the consumer leaves.
   */
  subscribe(
    prefix: string,
    backlog: AsyncIterable<readonly StoreEvent[]> | Iterable<readonly StoreEvent[]>,
    signal: AbortSignal,
  ): AsyncIterable<readonly StoreEvent[]> {
    const queue: (readonly StoreEvent[])[] = [];
    let waiting = 0;
    let ended: { readonly error: StoreError | undefined } | undefined;
    let wake: (() => void) | undefined;
    const end = (error: StoreError | undefined): void => {
      ended ??= { error };
      this.#subscribers.delete(subscriber);
      wake?.();
    };
    const onAbort = (): void => end(undefined);
    const subscriber: Subscriber = {
      prefix,
      end,
      push: (events) => {
        waiting += events.length;
        if (waiting > maxWaiting) {
          end(new StoreError('compacted', 'the watcher does not keep up'));
          return;
        }
        queue.push(events);
        wake?.();
      },
    };
    this.#subscribers.add(subscriber);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });

    async function* run(): AsyncGenerator<readonly StoreEvent[], void, undefined> {
      try {
        for await (const events of backlog) {
          if (signal.aborted) return;
          if (events.length > 0) yield events;
        }
        yield [];
        for (;;) {
          const events = queue.shift();
          if (events !== undefined) {
            waiting -= events.length;
            yield events;
          } else if (ended !== undefined) {
            if (ended.error !== undefined) throw ended.error;
            return;
          } else {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
            wake = undefined;
          }
        }
      } finally {
        end(undefined);
        signal.removeEventListener('abort', onAbort);
      }
    }
    return run();
  }
}

/** Throws unless a watch may begin after `from`. */
export function checkWatchable(
  from: Revision,
  now: Revision,
  history: { readonly oldest: Revision; readonly lost: readonly { readonly after: Revision; readonly until: Revision }[] },
): void {
  if (from > now) throw new StoreError('future', `revision ${from} is not reached, the store is at ${now}`);
  if (from < history.oldest) throw new StoreError('compacted', `revision ${from} is compacted, the oldest is ${history.oldest}`);
  for (const gap of history.lost) {
    if (from > gap.after && from < gap.until) throw new StoreError('compacted', `revision ${from} may have been lost in a crash`);
  }
}
