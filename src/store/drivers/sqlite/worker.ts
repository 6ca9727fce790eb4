import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import type { MessagePort, Transferable } from 'node:worker_threads';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Engine } from './engine.ts';
import { toStoreError } from './errors.ts';
import type { Call, Reply, Request, Response, StoreWorkerData, WorkerStats } from './protocol.ts';
import { packEntries, packError, packEvents, packResults, unpackWrites } from './protocol.ts';

/** Writes that one transaction takes at most. */
const maxBatchWrites = 4096;
const maxBatchBytes = 16 * 1024 * 1024;
const sizesEveryMs = 1000;

/**
 * Runs the store thread: call it in a worker whose workerData is StoreWorkerData. It ends with the 'close' call.
 */
export function runStoreWorker(): void {
  if (parentPort === null) throw new Error('the store thread must be started as a worker');
  const { options } = workerData as StoreWorkerData;
  const port = parentPort;
  try {
    const engine = new Engine(options, () => performance.now());
    new StoreThread(port, engine).start();
  } catch (error) {
    send(port, { type: 'refused', error: packError(toStoreError(error)) });
    port.close();
  }
}

function send(port: MessagePort, response: Response, transfer: Transferable[] = []): void {
  port.postMessage(response, transfer);
}

/** Takes requests in order; all writes that have arrived meanwhile go into the next transaction. */
class StoreThread {
  readonly #port: MessagePort;
  readonly #engine: Engine;
  #queue: Request[] = [];
  #scheduled = false;
  #closed = false;
  #flushTimer: NodeJS.Timeout | undefined;
  #flushTimerAt = Number.POSITIVE_INFINITY;
  #compacting: Promise<void> | undefined;
  #sizesAt = Number.NEGATIVE_INFINITY;
  #stats: WorkerStats;

  constructor(port: MessagePort, engine: Engine) {
    this.#port = port;
    this.#engine = engine;
    this.#stats = {
      compactedRevision: engine.history().oldest,
      unflushedWrites: 0,
      commits: 0,
      committedWrites: 0,
      failedCommits: 0,
      lastBatchWrites: 0,
      commitSecondsSum: 0,
      lastCommitSeconds: 0,
      ...engine.sizes(),
    };
  }

  start(): void {
    this.#port.on('message', (request: Request) => {
      this.#queue.push(request);
      this.#schedule();
    });
    send(this.#port, { type: 'opened', revision: this.#engine.revision, stats: this.#stats });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#run();
    });
  }

  /** One batch or one call, then back to the event loop. */
  #run(): void {
    this.#receive();
    const first = this.#queue[0];
    if (first === undefined || this.#closed) return;
    if (first.type === 'write') this.#writeBatch();
    else {
      this.#queue.shift();
      this.#answer(first.id, first.call);
    }
    this.#receive();
    if (this.#closed) return;
    if (this.#queue.length > 0) this.#schedule();
    this.#maintain(this.#queue.length === 0);
  }

  #receive(): void {
    for (let m = receiveMessageOnPort(this.#port); m !== undefined; m = receiveMessageOnPort(this.#port)) {
      this.#queue.push((m as { readonly message: Request }).message);
    }
  }

  #writeBatch(): void {
    const requests = [];
    let taken = 0;
    let bytes = 0;
    for (const request of this.#queue) {
      if (request.type !== 'write' || (taken > 0 && (requests.length >= maxBatchWrites || bytes >= maxBatchBytes))) break;
      requests.push(...unpackWrites(request.batch));
      bytes += request.batch.bytes.byteLength;
      taken++;
    }
    this.#queue.splice(0, taken);
    const began = performance.now();
    const { results, committed } = this.#engine.write(requests);
    const seconds = (performance.now() - began) / 1000;
    const failed = results.some((r) => !r.ok && (r.error.code === 'full' || r.error.code === 'io' || r.error.code === 'corrupt'));
    if (committed) {
      this.#stats = {
        ...this.#stats,
        commits: this.#stats.commits + 1,
        committedWrites: this.#stats.committedWrites + results.length,
        lastBatchWrites: results.length,
        commitSecondsSum: this.#stats.commitSecondsSum + seconds,
        lastCommitSeconds: seconds,
      };
    } else if (failed) this.#countFailure();
    const packed = packResults(results);
    send(this.#port, { type: 'written', results: packed, stats: this.#newStats() }, [packed.numbers.buffer, packed.bytes]);
  }

  #newStats(): WorkerStats {
    const now = performance.now();
    const sizes = now - this.#sizesAt >= sizesEveryMs ? this.#engine.sizes() : {};
    if (now - this.#sizesAt >= sizesEveryMs) this.#sizesAt = now;
    this.#stats = {
      ...this.#stats,
      ...sizes,
      compactedRevision: this.#engine.history().oldest,
      unflushedWrites: this.#engine.pendingRows,
    };
    return this.#stats;
  }

  /** What has to be done besides answering: a failure here must not fail any write, the next commit tells it. */
  #maintain(idle: boolean): void {
    try {
      this.#engine.checkpoint(idle);
    } catch {
      this.#countFailure();
    }
    this.#armFlush();
    // What commits could not do by the way; without writes nobody would.
    if (idle && this.#engine.hasLeftovers) void this.#compact().catch(() => this.#countFailure());
  }

  #countFailure(): void {
    this.#stats = { ...this.#stats, failedCommits: this.#stats.failedCommits + 1 };
  }

  #armFlush(): void {
    const at = this.#engine.flushAt;
    if (at === this.#flushTimerAt) return;
    clearTimeout(this.#flushTimer);
    this.#flushTimerAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    this.#flushTimer = setTimeout(
      () => {
        this.#flushTimerAt = Number.POSITIVE_INFINITY;
        this.#flush();
      },
      Math.max(0, at - performance.now()),
    );
  }

  #flush(): void {
    if (this.#closed) return;
    const rows = this.#engine.pendingRows;
    const began = performance.now();
    try {
      this.#engine.flush();
      const seconds = (performance.now() - began) / 1000;
      this.#stats = {
        ...this.#stats,
        commits: this.#stats.commits + 1,
        committedWrites: this.#stats.committedWrites + rows,
        commitSecondsSum: this.#stats.commitSecondsSum + seconds,
        lastCommitSeconds: seconds,
      };
    } catch {
      this.#countFailure();
    }
    send(this.#port, { type: 'stats', stats: this.#newStats() });
    this.#maintain(true);
  }

  #answer(id: number, call: Call): void {
    const fail = (error: unknown): void => send(this.#port, { type: 'failed', id, error: packError(toStoreError(error)) });
    const answer = (reply: Reply): void => send(this.#port, { type: 'reply', id, reply });
    try {
      if (call.method === 'compact') {
        this.#engine.setCompacted(call.revision);
        const scrub = (): void => (call.scrub ? this.#engine.scrub() : undefined);
        void this.#compact()
          .then(scrub)
          .then(() => answer({ method: 'compact' }), fail);
      } else if (call.method === 'snapshot') {
        this.#engine.flush();
        void this.#snapshot(call.file).then(() => answer({ method: 'snapshot' }), fail);
      } else if (call.method === 'list') {
        const { entries: found, revision, remaining } = this.#engine.list(call.prefix, call);
        const entries = packEntries(found);
        const reply: Reply = { method: 'list', entries, revision, remaining };
        send(this.#port, { type: 'reply', id, reply }, [entries.numbers.buffer, entries.bytes]);
      } else answer(this.#simpleReply(call));
    } catch (error) {
      fail(error);
    } finally {
      if (this.#closed) this.#port.close();
    }
  }

  #simpleReply(call: Exclude<Call, { method: 'compact' | 'snapshot' | 'list' }>): Reply {
    const engine = this.#engine;
    switch (call.method) {
      case 'get':
        return { method: 'get', entry: engine.get(call.key) };
      case 'events':
        return { method: 'events', events: packEvents(engine.events(call.after, call.upTo, call.limit)) };
      case 'history':
        return { method: 'history', history: engine.history() };
      case 'check':
        return { method: 'check', problems: engine.check() };
      case 'close':
        this.#close();
        return { method: 'close' };
    }
  }

  /** Removes what is compacted, step by step, with writes in between. */
  #compact(): Promise<void> {
    const run = async (): Promise<void> => {
      while (!this.#closed && this.#engine.compactStep()) await nextTick();
      // The file shrinks when the log's last page is in it.
      if (!this.#closed) this.#engine.moveLog();
    };
    this.#compacting ??= run().finally(() => {
      this.#compacting = undefined;
    });
    return this.#compacting;
  }

  /** Copies the database to a file that appears only when it is whole. */
  async #snapshot(file: string): Promise<void> {
    const partial = `${file}.partial`;
    try {
      closeSync(openSync(partial, 'w', 0o600));
      await this.#engine.db.backup(partial, { progress: () => 256 });
      sync(partial);
      renameSync(partial, file);
      sync(dirname(file));
    } catch (error) {
      rmSync(partial, { force: true });
      throw error;
    }
  }

  #close(): void {
    this.#closed = true;
    clearTimeout(this.#flushTimer);
    this.#engine.close();
  }
}

function sync(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
