import { SortedEntries } from '#lib/sorted-entries.ts';
import { asOf } from '#store/as-of.ts';
import type { Entry, ListOptions, ListResult, Revision, Store, StoreEvent, StoreStats } from '#store/contract.ts';
import { StoreError } from '#store/contract.ts';
import { checkWatchable, Feed } from '#store/feed.ts';
import { listRange, ownBytes } from '#store/keys.ts';
import { noStats } from '#store/stats.ts';

/**
 * A store without a disk: for unit tests and as the model that other drivers are compared with. It keeps its whole history
 * until it is told to compact.
 */
export function createMemoryStore(): Store {
  const current = new SortedEntries<Entry>();
  const feed = new Feed();
  let log: StoreEvent[] = [];
  let revision: Revision = 1;
  let oldest: Revision = 1;
  let closed = false;
  let writes = 0;

  const open = (): void => {
    if (closed) throw new StoreError('closed', 'the store is closed');
  };
  const commit = (event: StoreEvent): Entry => {
    revision = event.entry.revision;
    writes++;
    if (event.type === 'put') current.set(event.entry);
    else current.delete(event.entry.key);
    log.push(event);
    feed.publish([event]);
    return event.entry;
  };
  const expect = (key: string, expected: Revision): Entry => {
    open();
    const found = current.get(key);
    if (found === undefined) throw new StoreError('missing', `${key} does not exist`);
    if (found.revision !== expected) throw new StoreError('conflict', `${key} is at revision ${found.revision}`, { current: found });
    return found;
  };
  const list = (prefix: string, options: ListOptions): ListResult => {
    open();
    const at = options.atRevision ?? revision;
    checkWatchable(at, revision, { oldest, lost: [] });
    const later = log.filter((e) => e.entry.revision > at);
    const page = asOf(current, later, listRange(prefix, options.after), options.limit ?? Number.POSITIVE_INFINITY);
    return { ...page, revision: at };
  };

  return {
    create: async (key, value) => {
      open();
      const found = current.get(key);
      if (found !== undefined) throw new StoreError('exists', `${key} exists`, { current: found });
      const next = revision + 1;
      return commit({ type: 'put', entry: { key, value: ownBytes(value), revision: next, createRevision: next } });
    },
    update: async (key, value, expected) => {
      const previous = expect(key, expected);
      const entry = { key, value: ownBytes(value), revision: revision + 1, createRevision: previous.createRevision };
      return commit({ type: 'put', entry, previous });
    },
    delete: async (key, expected) => {
      const previous = expect(key, expected);
      return commit({ type: 'delete', entry: { ...previous, revision: revision + 1 }, previous });
    },
    get: async (key) => {
      open();
      return current.get(key);
    },
    list: async (prefix, options = {}) => list(prefix, options),
    watch: (prefix, from, signal) => {
      open();
      checkWatchable(from, revision, { oldest, lost: [] });
      const backlog = log.filter((e) => e.entry.revision > from && e.entry.key.startsWith(prefix));
      return feed.subscribe(prefix, [backlog], signal);
    },
    revision: async () => {
      open();
      return revision;
    },
    history: async () => ({ oldest, lost: [] }),
    compact: async (upTo) => {
      open();
      if (upTo > revision) throw new StoreError('future', `revision ${upTo} is not reached, the store is at ${revision}`);
      oldest = Math.max(oldest, upTo);
      log = log.filter((e) => e.entry.revision > oldest);
    },
    snapshot: async () => {
      throw new StoreError('io', 'a store in memory writes no files');
    },
    close: async () => {
      closed = true;
      feed.end(new StoreError('closed', 'the store is closed'));
    },
    stats: (): StoreStats => ({ ...noStats, revision, compactedRevision: oldest, commits: writes, committedWrites: writes }),
  };
}
