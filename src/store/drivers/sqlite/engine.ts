import { statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { SortedEntries } from '#lib/sorted-entries.ts';
import { asOf } from '#store/as-of.ts';
import type { Entry, History, ListOptions, ListResult, Revision, StoreEvent } from '#store/contract.ts';
import { StoreError } from '#store/contract.ts';
import { checkWatchable } from '#store/feed.ts';
import { goBack, skipLost } from '#store/history.ts';
import { listRange } from '#store/keys.ts';
import { toStoreError } from './errors.ts';
import { giveBackPages, hasSparePages } from './free-pages.ts';
import type { Mark } from './marks.ts';
import { Marks } from './marks.ts';
import type { Row } from './pending.ts';
import { PendingRows } from './pending.ts';
import type { OpenOptions } from './schema.ts';
import { openDatabase } from './schema.ts';
import type { Tables } from './tables.ts';
import { prepareTables } from './tables.ts';

export interface EngineOptions extends OpenOptions {
  /** How long history is kept. Default 5 minutes. */
  readonly historyMs?: number;
  /** History is cut to this many revisions even when younger, so that the file stays bounded. Default 500,000. */
  readonly historyRevisions?: number;
  /** Latest flush of a lazy creation or deletion. Default 2 s. */
  readonly lazyMs?: number;
  /**
   * Latest flush of a lazy rewrite of a present key, such as a heartbeat. Default 3 minutes: on an idle node these are nearly
   * all writes, and each flush writes at least two pages to flash; a lost heartbeat harms nobody.
   */
  readonly lazyRewriteMs?: number;
}

export interface WriteRequest {
  readonly op: 'create' | 'update' | 'delete';
  readonly key: string;
  /** Empty for a deletion. */
  readonly value: Uint8Array;
  readonly expected: Revision;
  readonly lazy: boolean;
}

export type WriteResult =
  | { readonly ok: true; readonly revision: Revision; readonly createRevision: Revision; readonly previous: Entry | undefined }
  | { readonly ok: false; readonly error: StoreError };

/** So many revisions are set aside on disk for lazy writes, which take theirs before they are on disk. */
const reserveAhead = 16_384;
const maxPendingRows = 20_000;
const maxPendingBytes = 32 * 1024 * 1024;
/** Log rows that one commit looks at to forget old history: enough to outrun the writes that it carries. */
const compactRows = 256;
/** History is cut when so many revisions or bytes can be expected to go. */
const strideRevisions = 1000;
const strideBytes = 4 * 1024 * 1024;
const checkpointFrames = 1000;
const forcedCheckpointFrames = 8000;

/**
 * The store as synchronous calls on one connection: revisions, lazy writes, history. It runs in the store thread
 * (worker.ts), which gathers writes for it.
 */
export class Engine {
  readonly db: Database.Database;
  readonly #options: EngineOptions;
  readonly #now: () => number;
  readonly #tables: Tables;
  readonly #pending = new PendingRows();
  /** Runs a function in a transaction. */
  readonly #atomically: <T>(run: () => T) => T;
  readonly #frames: Database.Statement<[], { log: number; checkpointed: number }>;
  /** The last revision given to a write that was acknowledged, or at the start. */
  #revision: Revision;
  /** The last revision given to any write: those of failed commits are not given again. */
  #given: Revision;
  #reserved: Revision;
  #compacted: Revision;
  #compactDone: Revision;
  #flushAt = Number.POSITIVE_INFINITY;
  readonly #marks: Marks;
  #lost: History['lost'];
  /** Bytes written since history was last cut. */
  #writtenBytes = 0;
  /** Bytes written since the last mark went to disk. */
  #unmarkedBytes = 0;

  /** @throws StoreError when the file cannot be opened */
  constructor(options: EngineOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
    this.db = openDatabase(options);
    try {
      this.#tables = prepareTables(this.db);
      const transaction = this.db.transaction((run: () => unknown) => run());
      this.#atomically = <T>(run: () => T) => transaction.immediate(run) as T;
      this.#frames = this.db.prepare('PRAGMA wal_checkpoint(NOOP)');
      const tables = this.#tables;
      this.#compacted = tables.meta('compacted');
      this.#compactDone = tables.meta('compact_done');
      this.#revision = tables.meta('reserved');
      this.#given = this.#revision;
      this.#reserved = this.#revision + reserveAhead;
      this.#atomically(() => this.#begin());
      this.#lost = tables.gaps();
      this.#marks = new Marks(tables.marks(), this.#revision, this.#compacted, this.#historyMs / 10, now);
    } catch (error) {
      this.db.close();
      throw toStoreError(error);
    }
  }

  get #historyMs(): number {
    return this.#options.historyMs ?? defaultHistoryMs;
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** When `flush` is due at the latest, on the clock given to the constructor. */
  get flushAt(): number {
    return this.#flushAt;
  }

  get pendingRows(): number {
    return this.#pending.size;
  }

  /**
   * Performs writes in order, as one transaction; lazy ones alone touch no disk. Never throws: when the transaction fails
   * each of its synchronous writes gets the error.
   */
  write(requests: readonly WriteRequest[]): { readonly results: readonly WriteResult[]; readonly committed: boolean } {
    const roomy = this.#pending.size + requests.length <= maxPendingRows && this.#pending.bytes <= maxPendingBytes;
    if (roomy && this.#given + requests.length <= this.#reserved && requests.every((r) => r.lazy)) {
      return { results: requests.map((r) => this.#writeLazy(r)), committed: false };
    }
    const given = this.#given;
    try {
      return { results: this.#commit(requests), committed: true };
    } catch (error) {
      const failure: WriteResult = { ok: false, error: toStoreError(error) };
      // A transaction that found no room is surely not on disk; of any other its revisions must not be given again.
      if (failure.error.code === 'full') this.#given = given;
      const results = requests.map((r) => (r.lazy && this.#given < this.#reserved && roomy ? this.#writeLazy(r) : failure));
      return { results, committed: false };
    }
  }

  /** Writes what is pending. @throws StoreError */
  flush(): void {
    if (this.#pending.size === 0) return;
    try {
      this.#commit([]);
    } catch (error) {
      this.#flushAt = this.#now() + (this.#options.lazyMs ?? defaultLazyMs);
      throw toStoreError(error);
    }
  }

  get(key: string): Entry | undefined {
    return this.#find(key);
  }

  list(prefix: string, options: ListOptions): ListResult {
    this.flush();
    const at = options.atRevision ?? this.#revision;
    checkWatchable(at, this.#revision, this.history());
    const { from, to } = listRange(prefix, options.after);
    if (at !== this.#revision && this.#tables.events(at, this.#revision, 1).length > 0) {
      const now = new SortedEntries<Entry>();
      for (const entry of this.#tables.page(prefix, from, -1)) now.set(entry);
      return { ...asOf(now, this.#eventsAfter(at), { from, to }, options.limit ?? Number.POSITIVE_INFINITY), revision: at };
    }
    const entries = this.#tables.page(prefix, from, options.limit ?? -1);
    const remaining = entries.length === options.limit ? this.#tables.count(prefix, from) - entries.length : 0;
    return { entries, revision: at, remaining };
  }

  /** At most `limit` events after `after`, up to and with `upTo`. @throws StoreError 'compacted' */
  events(after: Revision, upTo: Revision, limit: number): readonly StoreEvent[] {
    this.flush();
    checkWatchable(after, this.#revision, this.history());
    return this.#tables.events(after, upTo, limit);
  }

  history(): History {
    return { oldest: this.#compacted, lost: this.#lost };
  }

  /** Forgets history up to a revision; `compactStep` then does the work. @throws StoreError */
  setCompacted(revision: Revision): void {
    if (revision > this.#revision) throw new StoreError('future', `revision ${revision} is not reached, the store is at ${this.#revision}`);
    const target = skipLost(revision, this.#lost);
    if (target <= this.#compacted) return;
    this.flush();
    // On disk before anything is removed: after a crash nobody may believe that the history is whole.
    this.#atomically(() => this.#tables.setMeta('compacted', target));
    this.#compacted = target;
  }

  /** True when `compactStep` has something to do. */
  get hasLeftovers(): boolean {
    return this.#compactDone < this.#compacted || hasSparePages(this.db);
  }

  /** Removes a little of what is compacted, or gives back a few free pages, in a transaction of its own; false when nothing is left to do. */
  compactStep(): boolean {
    if (this.#compactDone < this.#compacted) this.#compactDone = this.#atomically(() => this.#compactRows(this.#compacted));
    else if (hasSparePages(this.db)) this.#atomically(() => giveBackPages(this.db));
    else return false;
    return true;
  }

  /**
   * Writes the file anew, without pages that hold what was removed, and empties the write-ahead log: nothing but current
   * values and history can be read from the disk afterwards. @throws StoreError
   */
  scrub(): void {
    try {
      this.flush();
      this.#truncateLog();
      // VACUUM copies everything into a temporary database: not into memory.
      this.db.pragma('temp_store = FILE');
      this.db.exec('VACUUM');
      this.#truncateLog();
    } catch (error) {
      throw toStoreError(error);
    } finally {
      this.db.pragma('temp_store = MEMORY');
    }
  }

  #truncateLog(): void {
    const [row] = this.db.pragma('wal_checkpoint(TRUNCATE)') as readonly { readonly busy: number }[];
    if (row?.busy !== 0) throw new StoreError('io', 'the write-ahead log is in use');
  }

  /** Moves the write-ahead log into the file when it is long: sooner when there is nothing else to do. */
  checkpoint(idle: boolean): void {
    const frames = this.#frames.get();
    const waiting = (frames?.log ?? 0) - (frames?.checkpointed ?? 0);
    if (waiting >= (idle ? checkpointFrames : forcedCheckpointFrames)) this.moveLog();
  }

  /** Moves all of the write-ahead log into the file. */
  moveLog(): void {
    this.db.pragma('wal_checkpoint(PASSIVE)');
  }

  sizes(): { readonly databaseBytes: number; readonly freeBytes: number; readonly walBytes: number } {
    const pageBytes = Number(this.db.pragma('page_size', { simple: true }));
    return {
      databaseBytes: pageBytes * Number(this.db.pragma('page_count', { simple: true })),
      freeBytes: pageBytes * Number(this.db.pragma('freelist_count', { simple: true })),
      walBytes: statSync(`${this.#options.file}-wal`, { throwIfNoEntry: false })?.size ?? 0,
    };
  }

  /** What SQLite finds wrong with the file; empty when it is sound. Reads all of it. */
  check(): readonly string[] {
    try {
      const rows = this.db.pragma('quick_check(20)') as readonly { readonly quick_check: string }[];
      return rows.map((r) => r.quick_check).filter((line) => line !== 'ok');
    } catch (error) {
      return [toStoreError(error).message];
    }
  }

  /** Flushes, says that nothing was lost, and closes. @throws StoreError when it could not flush; it is closed all the same */
  close(): void {
    try {
      this.flush();
      this.#atomically(() => {
        this.#tables.setMeta('reserved', this.#given);
        this.#tables.setMeta('clean', 1);
        const mark = this.#marks.last(this.#revision);
        if (mark !== undefined) this.#tables.addMark(mark);
      });
    } catch (error) {
      throw toStoreError(error);
    } finally {
      this.db.close();
    }
  }

  /** The first transaction after opening: from here on a crash may lose lazy writes. */
  #begin(): void {
    const tables = this.#tables;
    if (tables.meta('clean') === 0) {
      // Readers saw the revision that the store was opened at, though nothing was written at it.
      const after = Math.max(tables.lastRevision(), this.#compacted, tables.meta('opened'));
      if (after < this.#revision) tables.addGap(after, this.#revision);
    }
    tables.setMeta('clean', 0);
    tables.setMeta('opened', this.#revision);
    tables.setMeta('reserved', this.#reserved);
  }

  #find(key: string): Entry | undefined {
    const pending = this.#pending.get(key);
    if (pending === undefined) return this.#tables.find(key);
    if (pending.value === undefined) return undefined;
    return { key, value: pending.value, revision: pending.revision, createRevision: pending.createRevision };
  }

  #commit(requests: readonly WriteRequest[]): readonly WriteResult[] {
    const target = this.#compactTarget();
    let reserved = this.#reserved;
    let done = this.#compactDone;
    const mark = this.#marks.due(this.#revision, this.#unmarkedBytes);
    const results = this.#atomically(() => {
      for (const row of this.#pending.rows()) this.#tables.write(row);
      const made = requests.map((r) => this.#writeNow(r));
      if (this.#given + reserveAhead / 2 > reserved) {
        reserved = this.#given + reserveAhead;
        this.#tables.setMeta('reserved', reserved);
      }
      if (mark !== undefined) this.#tables.addMark(mark);
      if (target > this.#compacted) {
        this.#tables.setMeta('compacted', target);
        this.#tables.dropMarks(target);
      }
      if (done < target) done = this.#compactRows(target);
      return made;
    });
    this.#reserved = reserved;
    this.#count(requests, mark, target > this.#compacted);
    this.#compacted = target;
    this.#compactDone = done;
    this.#pending.clear();
    this.#flushAt = Number.POSITIVE_INFINITY;
    this.#acknowledge(results);
    return results;
  }

  #acknowledge(results: readonly WriteResult[]): void {
    for (const result of results) if (result.ok) this.#revision = result.revision;
    this.#marks.reached(this.#revision);
  }

  /** Adds up what a transaction has written. */
  #count(requests: readonly WriteRequest[], mark: Mark | undefined, cut: boolean): void {
    const bytes = requests.reduce((sum, r) => sum + r.value.byteLength, this.#pending.bytes);
    this.#writtenBytes = (cut ? 0 : this.#writtenBytes) + bytes;
    this.#unmarkedBytes = (mark === undefined ? this.#unmarkedBytes : 0) + bytes;
    if (mark !== undefined) this.#marks.wrote(mark);
  }

  /** A write inside a transaction that has written all pending rows. */
  #writeNow(request: WriteRequest): WriteResult {
    const prepared = this.#prepare(request, this.#tables.find(request.key));
    if ('error' in prepared) return prepared;
    this.#tables.write(prepared.row);
    return { ok: true, revision: prepared.row.revision, createRevision: prepared.row.createRevision, previous: prepared.previous };
  }

  #writeLazy(request: WriteRequest): WriteResult {
    let found: Entry | undefined;
    try {
      found = this.#find(request.key);
    } catch (error) {
      return { ok: false, error: toStoreError(error) };
    }
    const prepared = this.#prepare(request, found);
    if ('error' in prepared) return prepared;
    this.#pending.add(prepared.row);
    const rewrite = request.op === 'update';
    const wait = rewrite ? (this.#options.lazyRewriteMs ?? defaultLazyRewriteMs) : (this.#options.lazyMs ?? defaultLazyMs);
    this.#flushAt = Math.min(this.#flushAt, this.#now() + wait);
    this.#revision = prepared.row.revision;
    return { ok: true, revision: prepared.row.revision, createRevision: prepared.row.createRevision, previous: prepared.previous };
  }

  /** Checks a write against the key's entry and gives it a revision. */
  #prepare(
    request: WriteRequest,
    found: Entry | undefined,
  ): { readonly row: Row; readonly previous: Entry | undefined } | { readonly ok: false; readonly error: StoreError } {
    const { op, key, value, expected } = request;
    if (op === 'create') {
      if (found !== undefined) return { ok: false, error: new StoreError('exists', `${key} exists`, { current: found }) };
    } else if (found === undefined) return { ok: false, error: new StoreError('missing', `${key} does not exist`) };
    else if (found.revision !== expected) {
      return { ok: false, error: new StoreError('conflict', `${key} is at revision ${found.revision}`, { current: found }) };
    }
    const revision = ++this.#given;
    const deleted = op === 'delete';
    const createRevision = found?.createRevision ?? revision;
    const row = { revision, key, deleted, createRevision, previous: found?.revision ?? 0, value: deleted ? undefined : value };
    return { row, previous: found };
  }

  /**
   * What may be forgotten now: what was reached long enough ago. In strides, for each new target writes some more pages,
   * which on an idle node would be most of all writing.
   */
  #compactTarget(): Revision {
    const most = this.#options.historyRevisions ?? defaultHistoryRevisions;
    if (goBack(this.#revision, this.#lost, most * 1.1) > this.#compacted)
      return skipLost(goBack(this.#revision, this.#lost, most), this.#lost);
    const target = this.#marks.olderThan(this.#historyMs);
    if (target === undefined) return this.#compacted;
    const worthwhile = target - this.#compacted >= strideRevisions || this.#writtenBytes >= strideBytes;
    return worthwhile ? Math.max(target, this.#compacted) : this.#compacted;
  }

  /** Inside a transaction: removes rows that others replaced no later than `target`; gives how far it came. */
  #compactRows(target: Revision): Revision {
    const rows = this.#tables.steps(this.#compactDone, target, compactRows);
    for (const row of rows) {
      if (row.previous > 0) this.#tables.drop(row.previous);
      if (row.deleted === 1) this.#tables.drop(row.revision);
    }
    const done = rows.length < compactRows ? target : (rows.at(-1)?.revision ?? target);
    this.#tables.setMeta('compact_done', done);
    this.#tables.dropGaps(this.#compacted);
    giveBackPages(this.db);
    return done;
  }

  *#eventsAfter(after: Revision): Generator<StoreEvent, void, undefined> {
    let from = after;
    for (;;) {
      const events = this.#tables.events(from, this.#revision, 500);
      yield* events;
      if (events.length < 500) return;
      from = events.at(-1)?.entry.revision ?? this.#revision;
    }
  }
}

const defaultHistoryMs = 5 * 60_000;
const defaultHistoryRevisions = 500_000;
const defaultLazyMs = 2000;
const defaultLazyRewriteMs = 180_000;
