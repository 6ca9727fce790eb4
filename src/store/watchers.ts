import type { CacheEvent, CacheWatch, Revision, StoreError } from './contract.ts';

export interface WatcherLimits {
  /** How many events may wait for one watcher, besides those it resumed with. */
  readonly events: number;
  /** How many bytes of values may wait for one watcher. */
  readonly bytes: number;
}

type Step = IteratorResult<readonly CacheEvent[], undefined>;

/** Events handed out at once. */
const maxBatch = 512;

/** One watch: a bounded buffer between the cache and a consumer. */
export class Watcher implements CacheWatch {
  readonly prefix: string;
  readonly #now: () => Revision;
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  readonly #onClose: (watcher: Watcher) => void;
  #pending: CacheEvent[];
  #head = 0;
  #bytes = 0;
  #ended: { readonly error: StoreError | undefined } | undefined;
  #waiting: PromiseWithResolvers<Step> | undefined;

  constructor(
    prefix: string,
    backlog: CacheEvent[],
    limits: WatcherLimits,
    hooks: { readonly now: () => Revision; readonly onClose: (watcher: Watcher) => void },
  ) {
    this.prefix = prefix;
    this.#pending = backlog;
    for (const event of backlog) this.#bytes += event.entry.value.byteLength;
    this.#maxEvents = limits.events + backlog.length;
    this.#maxBytes = limits.bytes + this.#bytes;
    this.#now = hooks.now;
    this.#onClose = hooks.onClose;
  }

  /** Adds an event; false when the buffer is full. The consumer is woken by `wake`, once for a whole batch. */
  push(event: CacheEvent): boolean {
    this.#pending.push(event);
    this.#bytes += event.entry.value.byteLength;
    return this.#pending.length - this.#head <= this.#maxEvents && this.#bytes <= this.#maxBytes;
  }

  wake(): void {
    const waiting = this.#waiting;
    if (waiting === undefined || !this.#hasStep()) return;
    this.#waiting = undefined;
    // Resolved with the value itself: with a promise it would take two more turns of the microtask queue.
    try {
      waiting.resolve(this.#step());
    } catch (error) {
      waiting.reject(error);
    }
  }

  /** Ends the watch: with an error at once, without one after what is pending. */
  end(error: StoreError | undefined): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    if (error !== undefined) this.#drop();
    this.#onClose(this);
    this.wake();
  }

  finish(): void {
    this.end(undefined);
  }

  close(): void {
    this.#drop();
    this.end(undefined);
  }

  progress(): Revision {
    const next = this.#pending[this.#head];
    return next === undefined ? this.#now() : next.entry.revision - 1;
  }

  /** Written out instead of as a generator, which takes several turns of the microtask queue per batch and watcher. */
  [Symbol.asyncIterator](): AsyncIterator<readonly CacheEvent[], undefined> {
    return {
      next: () => {
        if (this.#waiting !== undefined) return Promise.reject(new Error('a watch has one consumer, which waits for each batch'));
        if (this.#hasStep()) return Promise.try(() => this.#step());
        this.#waiting = Promise.withResolvers();
        return this.#waiting.promise;
      },
      return: () => {
        this.close();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #hasStep(): boolean {
    return this.#ended !== undefined || this.#pending.length > this.#head;
  }

  /** What the consumer gets now. @throws what the watch was ended with */
  #step(): Step {
    const batch = this.#take();
    if (batch !== undefined) return { done: false, value: batch };
    const error = this.#ended?.error;
    this.#ended = { error: undefined };
    if (error !== undefined) throw error;
    return { done: true, value: undefined };
  }

  #take(): readonly CacheEvent[] | undefined {
    const count = Math.min(maxBatch, this.#pending.length - this.#head);
    if (count === 0) return undefined;
    let batch = this.#pending;
    if (this.#head === 0 && count === this.#pending.length) this.#drop();
    else {
      batch = this.#pending.slice(this.#head, this.#head + count);
      this.#head += count;
      for (const event of batch) this.#bytes -= event.entry.value.byteLength;
      if (this.#head === this.#pending.length) this.#drop();
    }
    return batch;
  }

  #drop(): void {
    this.#pending = [];
    this.#head = 0;
    this.#bytes = 0;
  }
}

/**
 * Watchers by prefix, so that an event looks up its own and does not pass all others by: those whose prefix ends with a
 * slash by the key's path steps, others (a single object's key) by the lengths that occur.
 */
export class WatcherIndex {
  readonly #byPrefix = new Map<string, Set<Watcher>>();
  /** How many prefixes that do not end with a slash have each length. */
  readonly #oddLengths = new Map<number, number>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(watcher: Watcher): void {
    const { prefix } = watcher;
    let group = this.#byPrefix.get(prefix);
    if (group === undefined) {
      group = new Set();
      this.#byPrefix.set(prefix, group);
      if (!isStep(prefix)) this.#oddLengths.set(prefix.length, (this.#oddLengths.get(prefix.length) ?? 0) + 1);
    }
    group.add(watcher);
    this.#size++;
  }

  remove(watcher: Watcher): void {
    const { prefix } = watcher;
    const group = this.#byPrefix.get(prefix);
    if (group?.delete(watcher) !== true) return;
    this.#size--;
    if (group.size > 0) return;
    this.#byPrefix.delete(prefix);
    if (isStep(prefix)) return;
    const left = (this.#oddLengths.get(prefix.length) ?? 1) - 1;
    if (left === 0) this.#oddLengths.delete(prefix.length);
    else this.#oddLengths.set(prefix.length, left);
  }

  /** Calls `fn` with every group of watchers whose prefix the key begins with. */
  matching(key: string, fn: (group: ReadonlySet<Watcher>) => void): void {
    const visit = (prefix: string): void => {
      const group = this.#byPrefix.get(prefix);
      if (group !== undefined) fn(group);
    };
    visit('');
    for (let slash = key.indexOf('/'); slash >= 0; slash = key.indexOf('/', slash + 1)) visit(key.slice(0, slash + 1));
    for (const length of this.#oddLengths.keys()) if (length <= key.length) visit(key.slice(0, length));
  }

  all(): Watcher[] {
    return [...this.#byPrefix.values()].flatMap((group) => [...group]);
  }
}

function isStep(prefix: string): boolean {
  return prefix === '' || prefix.endsWith('/');
}
