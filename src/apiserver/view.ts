/**
 * How a stored entry looks through a KindDef: as a frozen object and as JSON bytes. Stored bytes begin with
 * `{"kind":…,"apiVersion":…,"metadata":{` and hold no resourceVersion. `presentStored`, given to the watch cache as its
 * `present` option, splices it in once per write, so no read parses or stringifies an object.
 */
import type { Draft, KindDef } from '#kube/kind.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { apiVersionOf } from '#kube/refs.ts';
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
  return found === undefined ? undefined : deepFreeze(JSON.parse(bytes.toString('utf8', found.start, found.end)));
}

/**
 * The frozen object of served bytes: the watch cache's `parse` option. managedFields, most of what a parsed object would weigh
 * and seldom read, are parsed each time they are asked for; copying or printing the object asks for them.
 */
export function parseServed(value: Uint8Array): unknown {
  const bytes = asBuffer(value);
  const at = bytes.indexOf(metadataKey);
  const found = at < 0 ? undefined : findMember(bytes, at + metadataKey.length - 1, 'managedFields');
  if (found === undefined) return deepFreeze(JSON.parse(bytes.toString('utf8')));
  const parsed = JSON.parse(bytes.toString('utf8', 0, found.cutStart) + bytes.toString('utf8', found.cutEnd)) as {
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
  readonly object: (entry: CachedEntry) => Stored;
  /** The JSON of the object as served. */
  readonly bytes: (entry: CachedEntry) => Uint8Array;
  /** The same without kind and apiVersion, less its opening brace: items of typed lists are served so. */
  readonly itemTail: (entry: CachedEntry) => Uint8Array;
}

const views = new WeakMap<KindDef, View>();

/** The view of a KindDef, made once. */
export function viewOf(def: KindDef): View {
  let view = views.get(def);
  if (view === undefined) {
    view = isStoredForm(def)
      ? plainView(def)
      : def.servedAsStoredAfter === undefined
        ? convertedView(def)
        : splitView(def, def.servedAsStoredAfter);
    views.set(def, view);
  }
  return view;
}

function isStoredForm(def: KindDef): boolean {
  if (def.convert !== undefined) return false;
  const { storage, ref } = def;
  return storage === undefined || (storage.group === ref.group && storage.version === ref.version);
}

/** How many bytes come before `"metadata":{`. */
const headLength = (def: KindDef): number =>
  Buffer.byteLength(`{"kind":${JSON.stringify(def.ref.kind)},"apiVersion":${JSON.stringify(apiVersionOf(def.ref))},`);

function plainView(def: KindDef): View {
  const skip = headLength(def);
  return {
    object: (entry) => entry.object() as Stored,
    bytes: (entry) => entry.value,
    itemTail: (entry) => entry.value.subarray(skip),
  };
}

/** Entries written after a revision are served as they are; older ones are converted. */
function splitView(def: KindDef, after: number): View {
  const plain = plainView(def);
  const converted = convertedView(def);
  const viewFor = (entry: CachedEntry): View => (entry.revision > after ? plain : converted);
  return {
    object: (entry) => viewFor(entry).object(entry),
    bytes: (entry) => viewFor(entry).bytes(entry),
    itemTail: (entry) => viewFor(entry).itemTail(entry),
  };
}

/** What a KindDef that is not stored as it is served makes of an entry. */
interface Converted {
  readonly object: Stored;
  readonly bytes: Buffer;
}

function convertedView(def: KindDef): View {
  const cache = new WeakMap<CachedEntry, Converted>();
  const apiVersion = apiVersionOf(def.ref);
  const skip = headLength(def);
  const convert = (entry: CachedEntry): Converted => {
    let made = cache.get(entry);
    if (made === undefined) {
      const draft = structuredClone(entry.object()) as Draft;
      const converted = def.convert?.fromStored(draft) ?? draft;
      const { kind: _k, apiVersion: _v, metadata, ...rest } = converted;
      const object = deepFreeze({ kind: def.ref.kind, apiVersion, metadata, ...rest }) as unknown as Stored;
      made = { object, bytes: Buffer.from(JSON.stringify(object)) };
      cache.set(entry, made);
    }
    return made;
  };
  return {
    object: (entry) => convert(entry).object,
    bytes: (entry) => convert(entry).bytes,
    itemTail: (entry) => convert(entry).bytes.subarray(skip),
  };
}
