import type { Transferable, Worker } from 'node:worker_threads';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Entry, Revision, Store, StoreEvent, StoreStats, WriteOptions } from '#store/contract.ts';
import { StoreError } from '#store/contract.ts';
import { Feed } from '#store/feed.ts';
import { ownBytes } from '#store/keys.ts';
import { noStats } from '#store/stats.ts';
import type { EngineOptions, WriteRequest, WriteResult } from './engine.ts';
import type { Call, Reply, Request, Response, StoreWorkerData, WorkerStats } from './protocol.ts';
import { countResults, packWrites, unpackError, unpackEvents, unpackList, unpackResults } from './protocol.ts';

export interface SqliteStoreOptions extends EngineOptions {
  /**
   * Starts the store thread: a worker that calls runStoreWorker() and has this workerData. From sources
   * `new Worker(new URL('./worker-main.ts', import.meta.url), { workerData })`, in the bundle the bundle itself.
   */
  readonly startWorker: (workerData: StoreWorkerData) => Worker;
}

export interface SqliteStore extends Store {
  /** What is wrong with the database file; empty when it is sound. Reads all of it and keeps writes waiting. */
  readonly check: () => Promise<readonly string[]>;
}

interface PendingWrite {
  readonly request: WriteRequest;
  readonly resolve: (entry: Entry) => void;
  readonly reject: (error: StoreError) => void;
}

interface PendingCall {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: StoreError) => void;
}

const diskTroubles: ReadonlySet<StoreError['code']> = new Set(['full', 'io', 'corrupt']);
const maxPendingWrites = 20_000;
const maxPendingBytes = 256 * 1024 * 1024;
const eventsPage = 500;
const restartMs = 500;

/** The side of the driver that its callers are on: it gathers writes, and never waits for the disk. */
class Client {
  readonly #options: SqliteStoreOptions;
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  readonly #feed = new Feed();
  readonly #tasks = new TaskGroup();
  readonly #calls = new Map<number, PendingCall>();
  #worker: Worker | undefined;
  /** Writes of this turn of the event loop, not yet sent. */
  #unsent: PendingWrite[] = [];
  /** Writes sent, in the order of their answers. */
  #sent: PendingWrite[] = [];
  #pendingBytes = 0;
  #nextCall = 1;
  #revision: Revision = 0;
  #closing = false;
  #stats: WorkerStats | undefined;
  /** Why writes fail at present; said once, not for each write. */
  #trouble: StoreError['code'] | undefined;

  constructor(options: SqliteStoreOptions, deps: { readonly clock: Clock; readonly log: Logger }) {
    this.#options = options;
    this.#deps = deps;
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** Starts the store thread; rejects when it cannot open the file. */
  async start(): Promise<void> {
    const opened = Promise.withResolvers<void>();
    const { startWorker, ...options } = this.#options;
    const worker = startWorker({ role: 'store', options });
    let failure = new StoreError('io', 'the store thread ended');
    worker.on('message', (response: Response) => {
      if (response.type === 'opened') {
        this.#worker = worker;
        this.#revision = response.revision;
        this.#stats = response.stats;
        opened.resolve();
      } else if (response.type === 'refused') failure = unpackError(response.error);
      else this.#receive(response);
    });
    worker.on('error', (error: unknown) => {
      failure = new StoreError('io', `the store thread failed: ${String(error)}`, { cause: error });
    });
    worker.on('exit', () => {
      opened.reject(failure);
      if (this.#worker === worker) this.#lostWorker(failure);
    });
    await opened.promise;
  }

  write(op: WriteRequest['op'], key: string, value: Uint8Array, expected: Revision, options: WriteOptions | undefined): Promise<Entry> {
    if (this.#closing) return Promise.reject(closedError());
    if (this.#worker === undefined) return Promise.reject(new StoreError('io', 'the store thread is being restarted'));
    if (this.#sent.length + this.#unsent.length >= maxPendingWrites || this.#pendingBytes > maxPendingBytes) {
      return Promise.reject(new StoreError('busy', 'too many writes are waiting for the disk'));
    }
    const request: WriteRequest = { op, key, value: ownBytes(value), expected, lazy: options?.durability === 'lazy' };
    this.#pendingBytes += value.byteLength;
    return new Promise((resolve, reject) => {
      this.#unsent.push({ request, resolve, reject });
      if (this.#unsent.length === 1) setImmediate(() => this.#send());
    });
  }

  call(call: Call): Promise<Reply> {
    const worker = this.#worker;
    if (this.#closing) return Promise.reject(closedError());
    if (worker === undefined) return Promise.reject(new StoreError('io', 'the store thread is being restarted'));
    this.#send();
    return this.#post(worker, call);
  }

  watch(prefix: string, from: Revision, signal: AbortSignal): AsyncIterable<readonly StoreEvent[]> {
    if (this.#closing) throw closedError();
    if (from > this.#revision) throw new StoreError('future', `revision ${from} is not reached, the store is at ${this.#revision}`);
    return this.#feed.subscribe(prefix, from === this.#revision ? [] : this.#past(prefix, from, this.#revision), signal);
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    await this.#tasks.close();
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#send();
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', () => resolve());
    });
    try {
      await this.#post(worker, { method: 'close' });
    } finally {
      await exited;
      this.#worker = undefined;
      this.#feed.end(closedError());
    }
  }

  stats(): StoreStats | undefined {
    if (this.#stats === undefined) return undefined;
    const pendingWrites = this.#sent.length + this.#unsent.length;
    return { ...this.#stats, revision: this.#revision, pendingWrites, pendingBytes: this.#pendingBytes };
  }

  #post(worker: Worker, call: Call): Promise<Reply> {
    const id = this.#nextCall++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      post(worker, { type: 'call', id, call });
    });
  }

  #send(): void {
    const writes = this.#unsent;
    if (writes.length === 0 || this.#worker === undefined) return;
    this.#unsent = [];
    for (const write of writes) this.#sent.push(write);
    const batch = packWrites(writes.map((w) => w.request));
    post(this.#worker, { type: 'write', batch }, [batch.numbers.buffer, batch.bytes]);
  }

  #receive(response: Exclude<Response, { type: 'opened' | 'refused' }>): void {
    if (response.type === 'written') {
      this.#stats = response.stats;
      const answered = this.#sent.splice(0, countResults(response.results));
      this.#settle(
        answered,
        unpackResults(
          response.results,
          answered.map((w) => w.request.key),
        ),
      );
    } else if (response.type === 'stats') this.#stats = response.stats;
    else {
      const call = this.#calls.get(response.id);
      this.#calls.delete(response.id);
      if (response.type === 'reply') call?.resolve(response.reply);
      else call?.reject(unpackError(response.error));
    }
  }

  /** Watchers hear of the writes before their callers do. */
  #settle(writes: readonly PendingWrite[], results: readonly WriteResult[]): void {
    const events: StoreEvent[] = [];
    const entries = writes.map((write, i) => {
      this.#pendingBytes -= write.request.value.byteLength;
      const result = results[i];
      if (result?.ok !== true) return undefined;
      const event = toEvent(write.request, result);
      events.push(event);
      return event.entry;
    });
    this.#revision = events.at(-1)?.entry.revision ?? this.#revision;
    if (events.length > 0) this.#feed.publish(events);
    writes.forEach((write, i) => {
      const entry = entries[i];
      const result = results[i];
      if (entry !== undefined) write.resolve(entry);
      else write.reject(result?.ok === false ? result.error : unpackError(undefined));
    });
    this.#tellTrouble(writes, results);
  }

  #tellTrouble(writes: readonly PendingWrite[], results: readonly WriteResult[]): void {
    const failed = results.find((r) => !r.ok && diskTroubles.has(r.error.code));
    if (failed?.ok === false) {
      if (this.#trouble === failed.error.code) return;
      this.#trouble = failed.error.code;
      this.#deps.log.error('the store cannot write, reading goes on', { error: failed.error });
    } else if (this.#trouble !== undefined && results.some((r, i) => r.ok && writes[i]?.request.lazy === false)) {
      this.#trouble = undefined;
      this.#deps.log.info('the store can write again');
    }
  }

  async *#past(prefix: string, from: Revision, upTo: Revision): AsyncGenerator<readonly StoreEvent[], void, undefined> {
    let after = from;
    for (;;) {
      const reply = await this.call({ method: 'events', after, upTo, limit: eventsPage });
      if (reply.method !== 'events') throw unpackError(undefined);
      const events = unpackEvents(reply.events);
      yield events.filter((e) => e.entry.key.startsWith(prefix));
      const last = events.at(-1);
      if (last === undefined || events.length < eventsPage) return;
      after = last.entry.revision;
    }
  }

  /**
   * Whatever waited has an unknown outcome, and lazy writes may be lost: watchers have to read everything anew. The file
   * is opened again until it works.
   */
  #lostWorker(failure: StoreError): void {
    this.#worker = undefined;
    const error = this.#closing ? closedError() : failure;
    for (const write of [...this.#sent, ...this.#unsent]) write.reject(error);
    for (const call of this.#calls.values()) call.reject(error);
    this.#sent = [];
    this.#unsent = [];
    this.#calls.clear();
    this.#pendingBytes = 0;
    if (this.#closing) return;
    this.#deps.log.error('the store thread ended, starting it again', { error: failure });
    this.#feed.end(new StoreError('compacted', 'the store thread was restarted'));
    this.#tasks.spawn(async (signal) => {
      while (!signal.aborted) {
        await this.#deps.clock.sleep(restartMs, signal);
        try {
          await this.start();
          return;
        } catch (again) {
          this.#deps.log.error('the store thread cannot open the database', { error: again });
        }
      }
    });
  }
}

function post(worker: Worker, request: Request, transfer: Transferable[] = []): void {
  worker.postMessage(request, transfer);
}

function toEvent(request: WriteRequest, result: Extract<WriteResult, { ok: true }>): StoreEvent {
  const { key } = request;
  const { revision, createRevision, previous } = result;
  const value = request.op === 'delete' ? (previous?.value ?? new Uint8Array(0)) : request.value;
  const entry = { key, value, revision, createRevision };
  const type = request.op === 'delete' ? 'delete' : 'put';
  return previous === undefined ? { type, entry } : { type, entry, previous };
}

function closedError(): StoreError {
  return new StoreError('closed', 'the store is closed');
}

/**
 * The store in one SQLite file. SQLite runs in a thread of its own; all writes that arrive while a commit is under way
 * share the next transaction. See docs/adr/sqlite-store.md.
 *
 * @throws StoreError when the file cannot be opened: 'corrupt', 'full' or 'io', saying which file and why
 */
export async function createSqliteStore(
  options: SqliteStoreOptions,
  deps: { readonly clock: Clock; readonly log: Logger },
): Promise<SqliteStore> {
  const client = new Client(options, deps);
  await client.start();
  const ask = async <M extends Reply['method']>(call: Call & { method: M }): Promise<Extract<Reply, { method: M }>> =>
    (await client.call(call)) as Extract<Reply, { method: M }>;
  return {
    create: (key, value, write) => client.write('create', key, value, 0, write),
    update: (key, value, expected, write) => client.write('update', key, value, expected, write),
    delete: (key, expected, write) => client.write('delete', key, new Uint8Array(0), expected, write),
    get: async (key) => (await ask({ method: 'get', key })).entry,
    list: async (prefix, list = {}) => unpackList(await ask({ method: 'list', prefix, ...list })),
    watch: (prefix, from, signal) => client.watch(prefix, from, signal),
    revision: async () => {
      await ask({ method: 'history' });
      return client.revision;
    },
    history: async () => (await ask({ method: 'history' })).history,
    compact: async (revision, { scrub = false } = {}) => {
      await ask({ method: 'compact', revision, scrub });
    },
    snapshot: async (file) => {
      await ask({ method: 'snapshot', file });
    },
    check: async () => (await ask({ method: 'check' })).problems,
    close: () => client.close(),
    stats: () => client.stats() ?? noStats,
  };
}
