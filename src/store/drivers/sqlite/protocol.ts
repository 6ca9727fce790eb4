import type { Entry, History, ListResult, Revision, StoreEvent, StoreStats } from '#store/contract.ts';
import { StoreError } from '#store/contract.ts';
import type { EngineOptions, WriteRequest, WriteResult } from './engine.ts';

/** What the store thread is started with: its workerData. */
export interface StoreWorkerData {
  readonly role: 'store';
  readonly options: EngineOptions;
}

/** To the store thread. Bytes lie in one buffer, which is transferred. */
export type Request =
  | { readonly type: 'write'; readonly batch: PackedWrites }
  | { readonly type: 'call'; readonly id: number; readonly call: Call };

export type Call =
  | { readonly method: 'get'; readonly key: string }
  | { readonly method: 'list'; readonly prefix: string; readonly limit?: number; readonly after?: string; readonly atRevision?: Revision }
  | { readonly method: 'events'; readonly after: Revision; readonly upTo: Revision; readonly limit: number }
  | { readonly method: 'history' }
  | { readonly method: 'compact'; readonly revision: Revision; readonly scrub: boolean }
  | { readonly method: 'snapshot'; readonly file: string }
  | { readonly method: 'check' }
  | { readonly method: 'close' };

/** From the store thread. The results answer writes in the order in which they were sent. */
export type Response =
  | { readonly type: 'opened'; readonly revision: Revision; readonly stats: WorkerStats }
  | { readonly type: 'refused'; readonly error: PackedError }
  | { readonly type: 'written'; readonly results: PackedResults; readonly stats: WorkerStats }
  | { readonly type: 'stats'; readonly stats: WorkerStats }
  | { readonly type: 'reply'; readonly id: number; readonly reply: Reply }
  | { readonly type: 'failed'; readonly id: number; readonly error: PackedError };

export type Reply =
  | { readonly method: 'get'; readonly entry: Entry | undefined }
  | { readonly method: 'list'; readonly entries: PackedEntries; readonly revision: Revision; readonly remaining: number }
  | { readonly method: 'events'; readonly events: PackedEvents }
  | { readonly method: 'history'; readonly history: History }
  | { readonly method: 'check'; readonly problems: readonly string[] }
  | { readonly method: 'compact' | 'snapshot' | 'close' };

/** The part of StoreStats that only the store thread knows. */
export type WorkerStats = Omit<StoreStats, 'revision' | 'pendingWrites' | 'pendingBytes'>;

export interface PackedError {
  readonly code: StoreError['code'];
  readonly message: string;
  readonly current: Entry | undefined;
}

interface PackedWrites {
  readonly keys: readonly string[];
  /** Per write: op (0 create, 1 update, 2 delete) plus 4 if lazy; expected revision; length of the value. */
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly bytes: ArrayBuffer;
}

interface PackedResults {
  /** Per write: revision (0 when it failed), create revision, revision of the previous entry (0 for none), length of its value. */
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly bytes: ArrayBuffer;
  /** Of the failed ones, in order. */
  readonly errors: readonly PackedError[];
}

interface PackedEntries {
  readonly keys: readonly string[];
  /** Per entry: revision, create revision, length of the value. */
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly bytes: ArrayBuffer;
}

interface PackedEvents {
  /** The entry and, when there is one, the previous entry of each event. */
  readonly entries: PackedEntries;
  /** Per event: 1 for a deletion, plus 2 when there is a previous entry. */
  readonly flags: Uint8Array<ArrayBuffer>;
}

const ops = ['create', 'update', 'delete'] as const;

function join(values: readonly (Uint8Array | undefined)[]): ArrayBuffer {
  let length = 0;
  for (const value of values) length += value?.byteLength ?? 0;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const value of values) {
    if (value === undefined) continue;
    joined.set(value, at);
    at += value.byteLength;
  }
  return joined.buffer;
}

export function packWrites(writes: readonly WriteRequest[]): PackedWrites {
  const numbers = new Float64Array(3 * writes.length);
  writes.forEach((write, i) => {
    numbers[3 * i] = ops.indexOf(write.op) + (write.lazy ? 4 : 0);
    numbers[3 * i + 1] = write.expected;
    numbers[3 * i + 2] = write.value.byteLength;
  });
  return { keys: writes.map((w) => w.key), numbers, bytes: join(writes.map((w) => w.value)) };
}

/** The values are views on the batch's buffer, except those of lazy writes, which may be kept for long. */
export function unpackWrites(packed: PackedWrites): readonly WriteRequest[] {
  const { keys, numbers, bytes } = packed;
  let at = 0;
  return keys.map((key, i) => {
    const head = numbers[3 * i] ?? 0;
    const length = numbers[3 * i + 2] ?? 0;
    const lazy = head >= 4;
    const value = lazy ? new Uint8Array(bytes.slice(at, at + length)) : new Uint8Array(bytes, at, length);
    at += length;
    return { op: ops[head % 4] ?? 'create', key, value, expected: numbers[3 * i + 1] ?? 0, lazy };
  });
}

export function packResults(results: readonly WriteResult[]): PackedResults {
  const numbers = new Float64Array(4 * results.length);
  const errors: PackedError[] = [];
  results.forEach((result, i) => {
    if (!result.ok) {
      errors.push(packError(result.error));
      return;
    }
    numbers[4 * i] = result.revision;
    numbers[4 * i + 1] = result.createRevision;
    numbers[4 * i + 2] = result.previous?.revision ?? 0;
    numbers[4 * i + 3] = result.previous?.value.byteLength ?? 0;
  });
  return { numbers, bytes: join(results.map((r) => (r.ok ? r.previous?.value : undefined))), errors };
}

export function unpackResults(packed: PackedResults, keys: readonly string[]): readonly WriteResult[] {
  const { numbers, bytes, errors } = packed;
  let at = 0;
  let failed = 0;
  return keys.map((key, i) => {
    const revision = numbers[4 * i] ?? 0;
    if (revision === 0) return { ok: false, error: unpackError(errors[failed++]) };
    const createRevision = numbers[4 * i + 1] ?? 0;
    const previousRevision = numbers[4 * i + 2] ?? 0;
    const length = numbers[4 * i + 3] ?? 0;
    const value = new Uint8Array(bytes, at, length);
    at += length;
    const previous = previousRevision === 0 ? undefined : { key, value, revision: previousRevision, createRevision };
    return { ok: true, revision, createRevision, previous };
  });
}

export function countResults(packed: PackedResults): number {
  return packed.numbers.length / 4;
}

export function packEntries(entries: readonly Entry[]): PackedEntries {
  const numbers = new Float64Array(3 * entries.length);
  entries.forEach((entry, i) => {
    numbers[3 * i] = entry.revision;
    numbers[3 * i + 1] = entry.createRevision;
    numbers[3 * i + 2] = entry.value.byteLength;
  });
  return { keys: entries.map((e) => e.key), numbers, bytes: join(entries.map((e) => e.value)) };
}

function unpackEntries(packed: PackedEntries): Entry[] {
  const { keys, numbers, bytes } = packed;
  let at = 0;
  return keys.map((key, i) => {
    const length = numbers[3 * i + 2] ?? 0;
    const value = new Uint8Array(bytes, at, length);
    at += length;
    return { key, value, revision: numbers[3 * i] ?? 0, createRevision: numbers[3 * i + 1] ?? 0 };
  });
}

/** The values are views on one buffer: who keeps some of them for long copies them. */
export function unpackList(reply: Extract<Reply, { method: 'list' }>): ListResult {
  return { entries: unpackEntries(reply.entries), revision: reply.revision, remaining: reply.remaining };
}

export function packEvents(events: readonly StoreEvent[]): PackedEvents {
  const entries = events.flatMap((e) => (e.previous === undefined ? [e.entry] : [e.entry, e.previous]));
  const flags = events.map((e) => (e.type === 'delete' ? 1 : 0) + (e.previous === undefined ? 0 : 2));
  return { entries: packEntries(entries), flags: Uint8Array.from(flags) };
}

/** The values are views on one buffer, as those of unpackList. */
export function unpackEvents(packed: PackedEvents): readonly StoreEvent[] {
  const entries = unpackEntries(packed.entries).values();
  const events: StoreEvent[] = [];
  for (const flags of packed.flags) {
    const type = (flags & 1) === 1 ? 'delete' : 'put';
    const entry = entries.next().value;
    const previous = (flags & 2) === 2 ? entries.next().value : undefined;
    if (entry !== undefined) events.push(previous === undefined ? { type, entry } : { type, entry, previous });
  }
  return events;
}

export function packError(error: StoreError): PackedError {
  return { code: error.code, message: error.message, current: error.current };
}

export function unpackError(packed: PackedError | undefined): StoreError {
  if (packed === undefined) return new StoreError('io', 'the store thread gave no answer');
  return new StoreError(packed.code, packed.message, { current: packed.current });
}
