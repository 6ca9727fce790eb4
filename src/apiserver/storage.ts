/** Objects in the store: keys, bytes and the store's errors as Status. */
import type { Draft, KindDef } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import { alreadyExists, conflict, modifiedMessage, notFound, StatusError } from '#kube/status-error.ts';
import { type CachedEntry, type Entry, StoreError } from '#store/contract.ts';
import type { Core } from './core.ts';
import { objectKeyOf } from './keys.ts';
import { encodeStored, looseEntry } from './view.ts';

/** The cache gives its own entries back from writes; contract.ts has the driver's type for them. */
const asCached = (entry: Entry): CachedEntry => ('object' in entry ? (entry as CachedEntry) : looseEntry(entry));

export function readEntry(core: Pick<Core, 'cache'>, def: KindDef, namespace: string, name: string): CachedEntry | undefined {
  return core.cache.get(objectKeyOf(def, namespace, name));
}

/** The bytes under which an object of this kind is stored, for kinds that the server converts itself: all that are built in. */
export const encodeLocal = (def: KindDef, object: Draft | KubeObject): Buffer =>
  encodeStored(def.convert === undefined ? object : def.convert.toStored(structuredClone(object) as Draft));

/** The bytes under which an object of any kind is stored. Rejects with StatusError where a webhook cannot convert it. */
export async function encodeFor(def: KindDef, object: Draft | KubeObject, signal: AbortSignal): Promise<Buffer> {
  if (def.remote === undefined || def.storage?.version === def.ref.version) return encodeLocal(def, object);
  return encodeStored(await def.remote.toStored(structuredClone(object) as Draft, signal));
}

const writeOptions = (def: KindDef): { durability?: 'lazy' } => (def.durability === 'lazy' ? { durability: 'lazy' } : {});

/** Throws StatusError AlreadyExists, or ServiceUnavailable where the store cannot write. */
export async function createEntry(
  core: Pick<Core, 'cache'>,
  def: KindDef,
  at: { readonly namespace: string; readonly name: string },
  bytes: Uint8Array,
): Promise<CachedEntry> {
  try {
    return asCached(await core.cache.create(objectKeyOf(def, at.namespace, at.name), bytes, writeOptions(def)));
  } catch (error) {
    throw fromStoreError(error, def, at.name);
  }
}

/** Throws StatusError Conflict or NotFound when the object is not the expected one any more. */
export async function updateEntry(
  core: Pick<Core, 'cache'>,
  def: KindDef,
  old: CachedEntry,
  bytes: Uint8Array,
  name: string,
): Promise<CachedEntry> {
  try {
    return asCached(await core.cache.update(old.key, bytes, old.revision, writeOptions(def)));
  } catch (error) {
    throw fromStoreError(error, def, name);
  }
}

/** Gives the removed entry with the deletion's revision. */
export async function deleteEntry(core: Pick<Core, 'cache'>, def: KindDef, old: CachedEntry, name: string): Promise<CachedEntry> {
  try {
    return asCached(await core.cache.delete(old.key, old.revision, writeOptions(def)));
  } catch (error) {
    throw fromStoreError(error, def, name);
  }
}

/** The Status for a failure of the store; other errors are given back as they are. */
export function fromStoreError(error: unknown, def: KindDef, name: string): unknown {
  if (!(error instanceof StoreError)) return error;
  switch (error.code) {
    case 'exists':
      return alreadyExists(def.ref, name);
    case 'conflict':
      return conflict(def.ref, name, modifiedMessage);
    case 'missing':
      return notFound(def.ref, name);
    case 'compacted':
      return new StatusError('Expired', 'The resourceVersion for the provided list is too old.');
    case 'future':
      return new StatusError('Timeout', 'Too large resource version', { details: { retryAfterSeconds: 1 } });
    case 'full':
    case 'corrupt':
    case 'io':
    case 'busy':
    case 'closed':
      return new StatusError('ServiceUnavailable', `the store cannot serve the request: ${error.message}`, { cause: error });
  }
}
