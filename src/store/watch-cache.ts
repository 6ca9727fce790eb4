import { parseExact } from '#lib/exact-json.ts';
import { deepFreeze } from '#lib/freeze.ts';
import { SortedEntries } from '#lib/sorted-entries.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { asOf } from './as-of.ts';
import { Cached } from './cached-entry.ts';
import type { CachedEntry, CacheEvent, Entry, History, Revision, Store, StoreEvent, WatchCache } from './contract.ts';
import { StoreError } from './contract.ts';
import { EventRing } from './event-ring.ts';
import { checkWatchable } from './feed.ts';
import { goBack, skipLost } from './history.ts';
import { listRange, ownBytes, prefixEnd } from './keys.ts';
import { Watcher, WatcherIndex } from './watchers.ts';

export interface WatchCacheOptions {
  /**
   * Makes the served form of a value: done once, as an entry comes in, and what `CachedEntry.value` then is. Where it throws
   * the stored bytes are served and the error is logged. Default: the stored bytes.
   */
  readonly present?: (value: Uint8Array, revision: Revision) => Uint8Array;
  /** Makes the frozen object of a served form. Default: the JSON that it is. */
  readonly parse?: (value: Uint8Array) => unknown;
  /** Recent events kept for resuming watches and old lists. Defaults: 32,768 events, 32 MiB. */
  readonly ringEvents?: number;
  readonly ringBytes?: number;
  /** What may wait for one watcher before it is ended. Defaults: 8,192 events, 32 MiB. */
  readonly watcherEvents?: number;
  readonly watcherBytes?: number;
}

interface Waiter {
  readonly revision: Revision;
  readonly settle: (error?: StoreError) => void;
}

const defaultRingEvents = 32_768;
const defaultRingBytes = 32 * 1024 * 1024;
const loadPage = 1000;
const retryMs = 500;

const decoder = new TextDecoder();
const parseJson = (value: Uint8Array): unknown => deepFreeze(parseExact(decoder.decode(value)));

/** Loads a store and follows it. */
class Cache {
  readonly #store: Store;
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  readonly #options: WatchCacheOptions;
  readonly #stop = new AbortController();
  readonly #watchers = new WatcherIndex();
  readonly #waiters = new Set<Waiter>();
  #entries = new SortedEntries<CachedEntry>();
  #ring = new EventRing(0, 1, 1);
  #lost: History['lost'] = [];
  #revision: Revision = 0;
  #valueBytes = 0;
  #overflows = 0;
  #reloads = 0;
  #closed = false;
  #following: Promise<void> = Promise.resolve();

  constructor(store: Store, options: WatchCacheOptions, deps: { readonly clock: Clock; readonly log: Logger }) {
    this.#store = store;
    this.#options = options;
    this.#deps = deps;
  }

  /** Loads everything, then follows the store in the background. */
  async start(): Promise<void> {
    const caughtUp = Promise.withResolvers<void>();
    const from = await this.#load();
    this.#following = this.#follow(from, caughtUp.resolve).finally(caughtUp.resolve);
    await caughtUp.promise;
    if (this.#closed) throw closedError();
  }

  readonly create: Store['create'] = async (key, value, options) => this.#written(this.#store.create(key, value, options));

  readonly update: Store['update'] = async (key, value, expected, options) =>
    this.#written(this.#store.update(key, value, expected, options));

  readonly delete: Store['delete'] = async (key, expected, options) => this.#written(this.#store.delete(key, expected, options));

  get(key: string): CachedEntry | undefined {
    return this.#entries.get(key);
  }

  readonly list: WatchCache['list'] = (prefix, options = {}) => {
    const at = options.atRevision ?? this.#revision;
    const range = listRange(prefix, options.after);
    const limit = options.limit ?? Number.POSITIVE_INFINITY;
    if (at !== this.#revision) checkWatchable(at, this.#revision, { oldest: this.#ring.oldest, lost: this.#lost });
    return { ...asOf(this.#entries, at === this.#revision ? [] : this.#ring.after(at), range, limit), revision: at };
  };

  count(prefix: string): number {
    return this.#entries.count(prefix, prefixEnd(prefix));
  }

  revision(): Revision {
    return this.#revision;
  }

  oldest(): Revision {
    return this.#ring.oldest;
  }

  reached(revision: Revision, signal?: AbortSignal): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve();
    if (this.#closed) return Promise.reject(closedError());
    const future = (): StoreError => new StoreError('future', `revision ${revision} is not reached, the store is at ${this.#revision}`);
    if (signal?.aborted === true) return Promise.reject(future());
    return new Promise((resolve, reject) => {
      const onAbort = (): void => waiter.settle(future());
      const waiter: Waiter = {
        revision,
        settle: (error) => {
          this.#waiters.delete(waiter);
          signal?.removeEventListener('abort', onAbort);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  watch(prefix: string, from: Revision): Watcher {
    if (this.#closed) throw closedError();
    const backlog: CacheEvent[] = [];
    if (from !== this.#revision) {
      checkWatchable(from, this.#revision, { oldest: this.#ring.oldest, lost: this.#lost });
      for (const event of this.#ring.after(from)) if (event.entry.key.startsWith(prefix)) backlog.push(event);
    }
    const limits = { events: this.#options.watcherEvents ?? 8192, bytes: this.#options.watcherBytes ?? 32 * 1024 * 1024 };
    const watcher = new Watcher(prefix, backlog, limits, {
      now: () => this.#revision,
      onClose: (ended) => this.#watchers.remove(ended),
    });
    this.#watchers.add(watcher);
    return watcher;
  }

  stats(): ReturnType<WatchCache['stats']> {
    return {
      entries: this.#entries.size,
      valueBytes: this.#valueBytes,
      ringEvents: this.#ring.size,
      ringBytes: this.#ring.bytes,
      watchers: this.#watchers.size,
      overflows: this.#overflows,
      reloads: this.#reloads,
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#end();
    await this.#following;
  }

  /** Waits until the cache shows a write, and gives it as it is served. */
  async #written(write: Promise<Entry>): Promise<CachedEntry> {
    const entry = await write.catch((error: unknown) => {
      if (!(error instanceof StoreError) || error.current === undefined) throw error;
      throw new StoreError(error.code, error.message, { current: this.#asCached(error.current), cause: error.cause });
    });
    if (entry.revision > this.#revision) await this.reached(entry.revision);
    return this.#asCached(entry);
  }

  #asCached(entry: Entry): CachedEntry {
    const known = this.#entries.get(entry.key);
    return known?.revision === entry.revision ? known : this.#present(entry);
  }

  #present(entry: Entry): CachedEntry {
    let value = entry.value;
    try {
      value = this.#options.present?.(entry.value, entry.revision) ?? entry.value;
    } catch (error) {
      // One bad value must not stop all others from being told.
      this.#deps.log.error('a stored value cannot be served as it should be', { key: entry.key, error });
    }
    return new Cached(entry, ownBytes(value), this.#options.parse ?? parseJson);
  }

  /** Reads all entries; gives the revision from which to follow, as far back as the ring can hold. */
  async #load(): Promise<Revision> {
    const entries = new SortedEntries<CachedEntry>();
    let bytes = 0;
    let next = this.#store.list('', { limit: loadPage });
    const { revision } = await next;
    for (;;) {
      const page = await next;
      const last = page.entries.at(-1);
      const more = page.remaining > 0 && last !== undefined;
      // The store reads the next page while this one is taken in.
      if (more) next = this.#store.list('', { limit: loadPage, after: last.key, atRevision: revision });
      for (const entry of page.entries) {
        const cached = this.#present(entry);
        entries.set(cached);
        bytes += cached.value.byteLength;
      }
      if (!more) break;
    }
    const history = await this.#store.history();
    const ringStart = goBack(revision, history.lost, this.#options.ringEvents ?? defaultRingEvents);
    const from = skipLost(Math.max(history.oldest, ringStart), history.lost);
    this.#entries = entries;
    this.#valueBytes = bytes;
    this.#revision = revision;
    this.#lost = history.lost;
    this.#ring = this.#emptyRing(Math.min(from, revision));
    return this.#ring.oldest;
  }

  #emptyRing(oldest: Revision): EventRing {
    return new EventRing(oldest, this.#options.ringEvents ?? defaultRingEvents, this.#options.ringBytes ?? defaultRingBytes);
  }

  /** Applies what the store tells until the cache is closed; loads everything anew when the store lost its thread. */
  async #follow(start: Revision, onCaughtUp: () => void): Promise<void> {
    const signal = this.#stop.signal;
    let from = start;
    while (!signal.aborted) {
      let complete = from === this.#revision;
      try {
        let past = new Map<string, CachedEntry>();
        for await (const events of this.#store.watch('', from, signal)) {
          if (events.length === 0) {
            past = new Map();
            complete = true;
            onCaughtUp();
          } else this.#apply(events, past);
          from = this.#revision;
        }
        if (!signal.aborted) this.#deps.log.warn('the store ended its watch, following it again', { from });
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof StoreError && error.code === 'closed') {
          this.#end();
          return;
        }
        this.#deps.log.warn('the watch cache lost the store', { error });
        if (!complete) this.#ring = this.#emptyRing(this.#revision);
        from = await this.#recover(error, from, complete);
      }
    }
  }

  /** @param hadCaughtUp whether following had worked: if not, the next attempt waits */
  async #recover(error: unknown, from: Revision, hadCaughtUp: boolean): Promise<Revision> {
    try {
      const compacted = error instanceof StoreError && error.code === 'compacted';
      if (!compacted || !hadCaughtUp) await this.#deps.clock.sleep(retryMs, this.#stop.signal);
      if (!compacted) return from;
      const start = await this.#load();
      this.#reloads++;
      for (const watcher of this.#watchers.all()) watcher.end(new StoreError('compacted', 'the store was read anew'));
      this.#settleWaiters();
      return start;
    } catch (failure) {
      if (this.#stop.signal.aborted) return from;
      this.#deps.log.error('the watch cache cannot read the store', { error: failure });
      return this.#recover(error, from, false);
    }
  }

  /**
   * Takes in events in revision order. Those up to the loaded revision only fill the ring; `past` then holds what each of
   * their keys was.
   */
  #apply(events: readonly StoreEvent[], past: Map<string, CachedEntry>): void {
    const woken = new Set<Watcher>();
    for (const event of events) {
      if (event.entry.revision <= this.#revision) this.#remember(event, past);
      else this.#advance(event, woken);
    }
    for (const watcher of woken) watcher.wake();
    this.#settleWaiters();
  }

  #remember(event: StoreEvent, past: Map<string, CachedEntry>): void {
    const { key } = event.entry;
    const previous = event.previous === undefined ? undefined : (past.get(key) ?? this.#present(event.previous));
    const entry = this.#asCached(event.entry);
    past.set(key, entry);
    this.#ring.push({ type: event.type, entry, ...(previous === undefined ? {} : { previous }) });
  }

  #advance(event: StoreEvent, woken: Set<Watcher>): void {
    const { key, revision } = event.entry;
    const entry = this.#present(event.entry);
    const previous = event.type === 'put' ? this.#entries.set(entry) : this.#entries.delete(key);
    this.#revision = revision;
    this.#valueBytes += (event.type === 'put' ? entry.value.byteLength : 0) - (previous?.value.byteLength ?? 0);
    const cacheEvent: CacheEvent = { type: event.type, entry, ...(previous === undefined ? {} : { previous }) };
    this.#ring.push(cacheEvent);
    this.#watchers.matching(key, (group) => {
      for (const watcher of group) {
        woken.add(watcher);
        if (watcher.push(cacheEvent)) continue;
        this.#overflows++;
        watcher.end(new StoreError('compacted', 'the watcher does not keep up'));
      }
    });
  }

  #settleWaiters(): void {
    for (const waiter of [...this.#waiters]) if (waiter.revision <= this.#revision) waiter.settle();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const watcher of this.#watchers.all()) watcher.end(undefined);
    for (const waiter of [...this.#waiters]) waiter.settle(closedError());
  }
}

function closedError(): StoreError {
  return new StoreError('closed', 'the watch cache is closed');
}

/**
 * A watch cache over a store, loaded and following it.
 *
 * @throws StoreError when the store cannot be read
 */
export async function createWatchCache(
  store: Store,
  options: WatchCacheOptions,
  deps: { readonly clock: Clock; readonly log: Logger },
): Promise<WatchCache> {
  const cache = new Cache(store, options, deps);
  await cache.start();
  return {
    create: cache.create,
    update: cache.update,
    delete: cache.delete,
    list: cache.list,
    get: (key) => cache.get(key),
    count: (prefix) => cache.count(prefix),
    revision: () => cache.revision(),
    reached: (revision, signal) => cache.reached(revision, signal),
    watch: (prefix, from) => cache.watch(prefix, from),
    oldest: () => cache.oldest(),
    stats: () => cache.stats(),
    close: () => cache.close(),
  };
}
