/**
 * Objects that the server forgets by itself: Events, an hour after their last write (upstream: a lease of the store). Age is
 * told by revision: each minute the current revision is noted, and what was last written before the note of an hour ago
 * goes. After a start, objects get a full hour from then.
 */
import type { KindDef } from '#kube/kind.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { type CachedEntry, StoreError, type WatchCache } from '#store/contract.ts';
import { kindPrefix } from './keys.ts';

const everyMs = 60_000;
/** Deletions under way at once. */
const parallel = 16;

export interface ExpiryDeps {
  readonly cache: WatchCache;
  readonly clock: Clock;
  readonly log: Logger;
  readonly kinds: () => readonly KindDef[];
}

/** Runs until the signal aborts. Never rejects before. */
export async function expireObjects(deps: ExpiryDeps, signal: AbortSignal): Promise<void> {
  const { cache, clock, log } = deps;
  const notes: { readonly at: number; readonly revision: number }[] = [];
  while (!signal.aborted) {
    notes.push({ at: clock.monotonic(), revision: cache.revision() });
    await clock.sleep(everyMs, signal);
    try {
      await forgetOld(deps, notes);
    } catch (error) {
      log.warn('expired objects cannot be removed', { error });
    }
  }
}

async function forgetOld({ cache, clock, kinds }: ExpiryDeps, notes: { readonly at: number; readonly revision: number }[]): Promise<void> {
  const prefixes = new Map<string, number>();
  for (const def of kinds()) if (def.ttlSeconds !== undefined) prefixes.set(kindPrefix(def), def.ttlSeconds);
  const now = clock.monotonic();
  const longest = Math.max(0, ...prefixes.values());
  for (const [prefix, ttl] of prefixes) {
    const note = notes.findLast((n) => n.at <= now - ttl * 1000);
    if (note === undefined || cache.count(prefix) === 0) continue;
    const old = cache.list(prefix).entries.filter((entry) => entry.revision <= note.revision);
    const queue = old.values();
    await Promise.all(
      Array.from({ length: parallel }, async () => {
        for (const entry of queue) await forget(cache, entry);
      }),
    );
  }
  // One note older than the longest time to live is enough.
  while ((notes[1]?.at ?? now) <= now - longest * 1000) notes.shift();
}

async function forget(cache: WatchCache, entry: CachedEntry): Promise<void> {
  try {
    await cache.delete(entry.key, entry.revision, { durability: 'lazy' });
  } catch (error) {
    // Written or deleted meanwhile.
    if (!(error instanceof StoreError) || (error.code !== 'conflict' && error.code !== 'missing')) throw error;
  }
}
