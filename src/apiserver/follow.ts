/** Keeps something derived from stored objects current: loads a prefix of the watch cache, then hears of every change. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type CachedEntry, type CacheEvent, StoreError, type WatchCache } from '#store/contract.ts';

export interface Follower {
  /** Everything from anew: what was known counts no more. */
  readonly reset: (entries: readonly CachedEntry[]) => void;
  readonly apply: (event: CacheEvent) => void;
}

/**
 * The follower is up to date when this returns; `run` keeps it so until the signal aborts. A follower that fell so far
 * behind that the cache cut it off is loaded anew.
 */
export function follow(cache: WatchCache, prefix: string, follower: Follower): { readonly run: (signal: AbortSignal) => Promise<void> } {
  const load = () => {
    const { entries, revision } = cache.list(prefix);
    follower.reset(entries);
    return cache.watch(prefix, revision);
  };
  let watch = load();
  return {
    run: async (signal) => {
      const stop = (): void => watch.close();
      signal.addEventListener('abort', stop, { once: true });
      while (!signal.aborted) {
        try {
          for await (const events of watch) for (const event of events) follower.apply(event);
          if (signal.aborted) break;
        } catch (error) {
          if (!(error instanceof StoreError) || error.code !== 'compacted') throw error;
        }
        await nextTurn();
        if (!signal.aborted) watch = load();
      }
      signal.removeEventListener('abort', stop);
    },
  };
}
