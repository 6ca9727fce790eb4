/**
 * etcd's model: a map of keys to bytes in which one revision counts every write. Drivers (store/drivers/<name>) pass
 * store/conformance.ts. Over any driver stands one watch cache (WatchCache below), from which all reads are served.
 */

/** Counts every write of the whole store, from 1; never reused, also not after a crash. */
export type Revision = number;

export interface Entry {
  /** A path such as /registry/pods/default/web-0. */
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the last write of this key: its resourceVersion. */
  readonly revision: Revision;
  readonly createRevision: Revision;
}

export interface StoreEvent {
  readonly type: 'put' | 'delete';
  /** For 'delete' the last value, with the deletion's revision in `revision`. */
  readonly entry: Entry;
  /** What a put replaced or a delete removed; absent for a put that created the key. */
  readonly previous?: Entry;
}

export interface WriteOptions {
  /**
   * 'lazy': acknowledged when visible, on disk with the next batch, at the latest within seconds (a rewrite of a present
   * key: within minutes). Default 'sync': acknowledged after its commit.
   */
  readonly durability?: 'sync' | 'lazy';
}

/**
 * Codes: 'exists' (create of a present key), 'conflict' (revision differs; `current` holds the entry), 'missing'
 * (update or delete of an absent key), 'compacted' (revision too old), 'future' (revision not yet reached), 'full'
 * (disk full), 'corrupt', 'io', 'busy' (too many writes are waiting: try again later), 'closed'. After 'io' of a write
 * its outcome is unknown, as after a broken connection.
 */
export class StoreError extends Error {
  readonly code: 'exists' | 'conflict' | 'missing' | 'compacted' | 'future' | 'full' | 'corrupt' | 'io' | 'busy' | 'closed';
  readonly current: Entry | undefined;

  constructor(code: StoreError['code'], message: string, options: { readonly current?: Entry | undefined; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'StoreError';
    this.code = code;
    this.current = options.current;
  }
}

export interface ListOptions {
  /** At most this many entries; default: no limit. */
  readonly limit?: number;
  /** Only keys greater than this one. */
  readonly after?: string;
  /** As of this revision; default: now. */
  readonly atRevision?: Revision;
}

export interface ListResult {
  readonly entries: readonly Entry[];
  readonly revision: Revision;
  /** How many entries of the prefix follow the last one returned. */
  readonly remaining: number;
}

/** From where a store can still tell what happened. */
export interface History {
  /** Watches and old lists can be served from this revision on. */
  readonly oldest: Revision;
  /**
   * Revisions greater than `after` and less than `until` may have been given to lazy writes that a crash lost: whoever
   * has seen one of them cannot resume from it.
   */
  readonly lost: readonly { readonly after: Revision; readonly until: Revision }[];
}

/** Figures for /metrics; those that a driver does not have are 0. Counters count from the start of the process. */
export interface StoreStats {
  readonly revision: Revision;
  readonly compactedRevision: Revision;
  readonly pendingWrites: number;
  readonly pendingBytes: number;
  /** Lazy writes that are not yet on disk. */
  readonly unflushedWrites: number;
  readonly commits: number;
  readonly committedWrites: number;
  readonly failedCommits: number;
  readonly lastBatchWrites: number;
  readonly commitSecondsSum: number;
  readonly lastCommitSeconds: number;
  readonly databaseBytes: number;
  readonly freeBytes: number;
  readonly walBytes: number;
}

/** A store driver. All methods reject with StoreError. Values are not copied: whoever gave or got one does not change it. */
export interface Store {
  readonly create: (key: string, value: Uint8Array, options?: WriteOptions) => Promise<Entry>;
  /** `expected`: the revision that the key must have now. */
  readonly update: (key: string, value: Uint8Array, expected: Revision, options?: WriteOptions) => Promise<Entry>;
  /** Resolves to the removed entry, whose `revision` is the deletion's. */
  readonly delete: (key: string, expected: Revision, options?: WriteOptions) => Promise<Entry>;
  readonly get: (key: string) => Promise<Entry | undefined>;
  /** In key order. */
  readonly list: (prefix: string, options?: ListOptions) => Promise<ListResult>;
  /**
   * Every event of the prefix with a revision greater than `from`, in order, batch by batch, until aborted. One empty batch
   * follows what had happened before the call.
   */
  readonly watch: (prefix: string, from: Revision, signal: AbortSignal) => AsyncIterable<readonly StoreEvent[]>;
  readonly revision: () => Promise<Revision>;
  readonly history: () => Promise<History>;
  /**
   * Forgets history up to `revision` (current values stay). `scrub`: and overwrites it, with all that was removed before, so
   * that nothing of it can be read from the disk; that rewrites everything and holds up other calls.
   */
  readonly compact: (revision: Revision, options?: { readonly scrub?: boolean }) => Promise<void>;
  /** Writes a consistent copy to a file. */
  readonly snapshot: (file: string) => Promise<void>;
  /** Commits what is pending and closes; later calls reject with 'closed'. */
  readonly close: () => Promise<void>;
  readonly stats: () => StoreStats;
}

/**
 * An entry in the watch cache. `value` is the served form: what the cache's `present` option made, once, of the stored bytes
 * and the revision. `object()` parses it on first use; all readers share the frozen result as long as one of them holds it.
 */
export interface CachedEntry extends Entry {
  readonly object: () => unknown;
}

export interface CacheEvent {
  readonly type: 'put' | 'delete';
  readonly entry: CachedEntry;
  readonly previous?: CachedEntry;
}

export interface CacheWatch extends AsyncIterable<readonly CacheEvent[]> {
  /** The revision up to which everything has been handed out or is of other prefixes: what bookmarks carry. */
  readonly progress: () => Revision;
  /** Ends the watch after what waits to be handed out. */
  readonly finish: () => void;
  readonly close: () => void;
}

/**
 * All current entries in memory, in key order, and a bounded ring of recent events. Reads are synchronous and never
 * touch the disk; writes go to the driver and are visible here before their promise resolves.
 */
export interface WatchCache {
  readonly create: Store['create'];
  readonly update: Store['update'];
  readonly delete: Store['delete'];
  readonly get: (key: string) => CachedEntry | undefined;
  /** `atRevision` older than the ring's start throws StoreError 'compacted'; newer than now: 'future'. */
  readonly list: (
    prefix: string,
    options?: ListOptions,
  ) => { readonly entries: readonly CachedEntry[]; readonly revision: Revision; readonly remaining: number };
  readonly count: (prefix: string) => number;
  readonly revision: () => Revision;
  /** Resolves when the cache has reached `revision`; rejects with 'future' after the signal aborts. */
  readonly reached: (revision: Revision, signal: AbortSignal) => Promise<void>;
  /**
   * Events after `from` (throws StoreError 'compacted' when the ring no longer holds them). A watcher whose buffer
   * overflows is ended with StoreError 'compacted': the client resumes or relists.
   */
  readonly watch: (prefix: string, from: Revision) => CacheWatch;
  /** Oldest revision from which a watch or an exact list can be served. */
  readonly oldest: () => Revision;
  readonly stats: () => CacheStats;
  /** Ends all watches. The store below stays open. */
  readonly close: () => Promise<void>;
}

/** Figures for /metrics. */
export interface CacheStats {
  readonly entries: number;
  readonly valueBytes: number;
  readonly ringEvents: number;
  readonly ringBytes: number;
  readonly watchers: number;
  /** Watchers ended because they did not keep up. */
  readonly overflows: number;
  /** How often the cache had to be loaded again because the store lost its thread. */
  readonly reloads: number;
}
