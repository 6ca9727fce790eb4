/**
 * How a stored entry looks through a KindDef: as a frozen object and as JSON bytes. Stored bytes begin with
 * `{"kind":…,"apiVersion":…,"metadata":{` and hold no resourceVersion. `presentStored`, given to the watch cache as its
 * `present` option, splices it in once per write, so no read parses or stringifies an object.
 */

import type { Draft, KindDef, RemoteConversion } from '#kube/kind.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { apiVersionOf } from '#kube/refs.ts';
import { StatusError } from '#kube/status-error.ts';
import { parseExact } from '#lib/exact-json.ts';
import { deepFreeze } from '#lib/freeze.ts';
import { findMember } from '#lib/json-scan.ts';
import type { CachedEntry } from '#store/contract.ts';

const metadataKey = Buffer.from('"metadata":{');

/** The bytes to store: type first, then metadata without resourceVersion, then the rest. */
export function encodeStored(object: KubeObject): Buffer {
  const { kind, apiVersion, metadata, ...rest } = object as KubeObject & Record<string, unknown>;
  const { resourceVersion: _ignored, ...meta } = metadata;
  return Buffer.from(JSON.stringify({ kind, apiVersion, metadata: meta, ...rest }));
}

const asBuffer = (value: Uint8Array): Buffer => Buffer.from(value.buffer, value.byteOffset, value.byteLength);

/** The served form of stored bytes: what the watch cache keeps. Bytes that are no object are left as they are. */
export function presentStored(value: Uint8Array, revision: number): Uint8Array {
  const bytes = asBuffer(value);
  const found = bytes.indexOf(metadataKey);
  if (found < 0) return value;
  return splice(bytes, found + metadataKey.length, 0, revision);
}

/** Served bytes with another revision. */
export function withRevision(value: Uint8Array, revision: number): Uint8Array {
  const bytes = asBuffer(value);
  const found = bytes.indexOf(metadataKey);
  if (found < 0) return value;
  const at = found + metadataKey.length;
  return splice(bytes, at, bytes.indexOf(',', at) + 1 - at, revision);
}

/** `value` with `drop` bytes at `at` replaced by the resourceVersion. */
function splice(value: Buffer, at: number, drop: number, revision: number): Buffer {
  const inset = `"resourceVersion":"${revision}",`;
  const out = Buffer.allocUnsafeSlow(value.length + inset.length - drop);
  value.copy(out, 0, 0, at);
  out.write(inset, at, 'latin1');
  value.copy(out, at + inset.length, at + drop);
  return out;
}

/** The served bytes that a parsed object's metadata.managedFields is read from. */
const source = Symbol('served bytes');

interface WithSource {
  readonly [source]: Uint8Array;
}

function managedFieldsOf(this: WithSource): unknown {
  const bytes = asBuffer(this[source]);
  const found = findMember(bytes, bytes.indexOf(metadataKey) + metadataKey.length - 1, 'managedFields');
  return found === undefined ? undefined : deepFreeze(parseExact(bytes.toString('utf8', found.start, found.end)));
}

/**
 * The frozen object of served bytes: the watch cache's `parse` option. managedFields, most of what a parsed object would weigh
 * and seldom read, are parsed each time they are asked for; copying or printing the object asks for them.
 */
export function parseServed(value: Uint8Array): unknown {
  const bytes = asBuffer(value);
  const at = bytes.indexOf(metadataKey);
  const found = at < 0 ? undefined : findMember(bytes, at + metadataKey.length - 1, 'managedFields');
  if (found === undefined) return deepFreeze(parseExact(bytes.toString('utf8')));
  const parsed = parseExact(bytes.toString('utf8', 0, found.cutStart) + bytes.toString('utf8', found.cutEnd)) as {
    readonly metadata: object;
  };
  const { metadata } = parsed;
  for (const inner of Object.values(metadata)) deepFreeze(inner);
  Object.defineProperty(metadata, source, { value });
  Object.defineProperty(metadata, 'managedFields', { get: managedFieldsOf, enumerable: true });
  Object.freeze(metadata);
  return deepFreeze(parsed);
}

/** An entry outside the cache, such as what a dry run would have written. `value` is in the served form. */
export function looseEntry(entry: Omit<CachedEntry, 'object'>): CachedEntry {
  let parsed: unknown;
  return {
    key: entry.key,
    value: entry.value,
    revision: entry.revision,
    createRevision: entry.createRevision,
    object: () => {
      parsed ??= parseServed(entry.value);
      return parsed;
    },
  };
}

export interface View {
  /** Throws where the entry is pending. */
  readonly object: (entry: CachedEntry) => Stored;
  /** The JSON of the object as served. Throws where the entry is pending. */
  readonly bytes: (entry: CachedEntry) => Uint8Array;
  /** The same without kind and apiVersion, less its opening brace: items of typed lists are served so. */
  readonly itemTail: (entry: CachedEntry) => Uint8Array;
  /** True while somebody else must convert the entry first: see convertAhead. */
  readonly pending: (entry: CachedEntry) => boolean;
}

const views = new WeakMap<KindDef, View>();

/** The view of a KindDef, made once. */
export function viewOf(def: KindDef): View {
  let view = views.get(def);
  if (view === undefined) {
    if (def.servedAsStoredAfter !== undefined) view = splitView(def, def.servedAsStoredAfter);
    else view = isStoredForm(def) ? plainView(def) : convertedView(def);
    views.set(def, view);
  }
  return view;
}

function isStoredForm(def: KindDef): boolean {
  if (def.convert !== undefined) return false;
  const { storage, ref } = def;
  return storage === undefined || (storage.group === ref.group && storage.version === ref.version);
}

/** What comes before `"metadata":{` in the bytes of an object of this kind. */
const headOf = (kind: string, apiVersion: string): Buffer =>
  Buffer.from(`{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},`);

/** Whether stored bytes are in a version. They may be in an older one: what is stored is not rewritten when the storage version changes. */
export function isStoredAs(value: Uint8Array, kind: string, apiVersion: string): boolean {
  const head = headOf(kind, apiVersion);
  return value.length > head.length && head.equals(value.subarray(0, head.length));
}

const never = (): boolean => false;

function plainView(def: KindDef): View {
  const skip = headOf(def.ref.kind, apiVersionOf(def.ref)).length;
  return {
    object: (entry) => entry.object() as Stored,
    bytes: (entry) => entry.value,
    itemTail: (entry) => entry.value.subarray(skip),
    pending: never,
  };
}

/** Entries in this version that were written after a revision are served as they are; others are converted. */
function splitView(def: KindDef, after: number): View {
  const { kind } = def.ref;
  const apiVersion = apiVersionOf(def.ref);
  const plain = plainView(def);
  const converted = def.remote === undefined ? convertedView(def) : remoteView(def, def.remote);
  const viewFor = (entry: CachedEntry): View => (entry.revision > after && isStoredAs(entry.value, kind, apiVersion) ? plain : converted);
  return {
    object: (entry) => viewFor(entry).object(entry),
    bytes: (entry) => viewFor(entry).bytes(entry),
    itemTail: (entry) => viewFor(entry).itemTail(entry),
    pending: (entry) => viewFor(entry).pending(entry),
  };
}

/** What a KindDef that is not stored as it is served makes of an entry. */
interface Converted {
  readonly object: Stored;
  readonly bytes: Uint8Array;
}

function presented(def: KindDef, entry: CachedEntry, converted: Draft): Converted {
  const { kind: _k, apiVersion: _v, metadata, ...rest } = converted;
  const object = deepFreeze({ kind: def.ref.kind, apiVersion: apiVersionOf(def.ref), metadata, ...rest }) as unknown as Stored;
  const bytes = Buffer.from(JSON.stringify(object));
  // Most often nothing changes but the name of the version, or nothing at all: then no second copy is kept.
  return bytes.equals(entry.value) ? { object: entry.object() as Stored, bytes: entry.value } : { object, bytes };
}

function viewOfConverted(def: KindDef, convert: (entry: CachedEntry) => Converted, pending: View['pending']): View {
  const skip = headOf(def.ref.kind, apiVersionOf(def.ref)).length;
  return {
    object: (entry) => convert(entry).object,
    bytes: (entry) => convert(entry).bytes,
    itemTail: (entry) => convert(entry).bytes.subarray(skip),
    pending,
  };
}

function convertedView(def: KindDef): View {
  const cache = new WeakMap<CachedEntry, Converted>();
  const convert = (entry: CachedEntry): Converted => {
    let made = cache.get(entry);
    if (made === undefined) {
      const draft = structuredClone(entry.object()) as Draft;
      made = presented(def, entry, def.convert?.fromStored(draft) ?? draft);
      cache.set(entry, made);
    }
    return made;
  };
  return viewOfConverted(def, convert, never);
}

/** What a remote conversion has made and what it is making, by entry: all readers of an entry share one call. */
interface RemoteState {
  readonly made: WeakMap<CachedEntry, Converted>;
  readonly making: WeakMap<CachedEntry, Promise<void>>;
}

const remoteStates = new WeakMap<KindDef, RemoteState>();

function remoteStateOf(def: KindDef): RemoteState {
  let state = remoteStates.get(def);
  if (state === undefined) {
    state = { made: new WeakMap(), making: new WeakMap() };
    remoteStates.set(def, state);
  }
  return state;
}

function remoteView(def: KindDef, remote: RemoteConversion): View {
  const { made } = remoteStateOf(def);
  const local = convertedView(def);
  const isLocal = (entry: CachedEntry): boolean => isStoredAs(entry.value, def.ref.kind, apiVersionOf(def.ref));
  const convert = (entry: CachedEntry): Converted => {
    if (isLocal(entry)) return { object: local.object(entry), bytes: local.bytes(entry) };
    const found = made.get(entry);
    if (found === undefined) throw new StatusError('InternalError', `${entry.key} has not been converted by ${remote.name}`);
    return found;
  };
  return viewOfConverted(def, convert, (entry) => !isLocal(entry) && !made.has(entry));
}

/**
 * Has those entries converted that only somebody else can convert (custom resources with a webhook), all in one call, so that the view
 * shows them. Nothing to wait for with any other kind. Rejects with StatusError, also when the signal aborts.
 */
export function convertAhead(def: KindDef, entries: readonly CachedEntry[], signal: AbortSignal): Promise<void> | undefined {
  const { remote } = def;
  if (remote === undefined) return undefined;
  const view = viewOf(def);
  const wanted = entries.filter(view.pending);
  return wanted.length === 0 ? undefined : convertRemotely(def, remote, wanted, signal);
}

async function convertRemotely(def: KindDef, remote: RemoteConversion, wanted: readonly CachedEntry[], signal: AbortSignal): Promise<void> {
  const { made, making } = remoteStateOf(def);
  const fresh = [...new Set(wanted)].filter((entry) => !making.has(entry));
  if (fresh.length > 0) {
    const objects = fresh.map((entry) => structuredClone(entry.object()) as Draft);
    const work = remote
      .fromStored(objects)
      .then((converted) => {
        for (const [i, entry] of fresh.entries()) {
          const draft = converted[i];
          if (draft !== undefined) made.set(entry, presented(def, entry, draft));
        }
      })
      .finally(() => {
        for (const entry of fresh) making.delete(entry);
      });
    for (const entry of fresh) making.set(entry, work);
  }
  const all = [...new Set(wanted.flatMap((entry) => making.get(entry) ?? []))];
  await abortable(Promise.all(all), signal);
}

/** The promise, or a rejection as soon as the signal aborts. */
async function abortable(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw new StatusError('Timeout', 'the request was given up');
  let give: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    give = () => reject(new StatusError('Timeout', 'the request was given up'));
    signal.addEventListener('abort', give, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', give);
  }
}
