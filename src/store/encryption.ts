/**
 * Encryption at rest: a store over another that encrypts the values of some keys. The stored form is Kubernetes'
 * (k8s.io/apiserver storage/value): `k8s:enc:<provider>:v1:<key name>:` and the encrypted value; values without
 * that prefix are as they were written.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { type Entry, type Revision, type Store, StoreError, type StoreEvent } from './contract.ts';

export type EncryptionProvider = 'aescbc' | 'aesgcm';

export interface EncryptionKey {
  readonly provider: EncryptionProvider;
  readonly name: string;
  /** 16, 24 or 32 bytes. */
  readonly secret: Uint8Array;
}

/** What is encrypted, and how. */
export interface EncryptionPolicy {
  /** Key prefixes such as /registry/core/secrets/. */
  readonly prefixes: readonly string[];
  /** Encrypts new values; undefined: they are stored as they are. */
  readonly write: EncryptionKey | undefined;
  /** All keys that values may have been encrypted with. */
  readonly read: readonly EncryptionKey[];
}

const marker = Buffer.from('k8s:enc:');
const prefixOf = (key: EncryptionKey): Buffer => Buffer.from(`k8s:enc:${key.provider}:v1:${key.name}:`);

/** The storage key is authenticated with the value, so that values cannot be swapped between keys. */
function encryptGcm(secret: Uint8Array, plain: Uint8Array, storageKey: string): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv(`aes-${(secret.length * 8) as 128 | 192 | 256}-gcm`, secret, nonce);
  cipher.setAAD(Buffer.from(storageKey));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decryptGcm(secret: Uint8Array, data: Buffer, storageKey: string): Buffer {
  const decipher = createDecipheriv(`aes-${(secret.length * 8) as 128 | 192 | 256}-gcm`, secret, data.subarray(0, 12));
  decipher.setAAD(Buffer.from(storageKey));
  decipher.setAuthTag(data.subarray(data.length - 16));
  return Buffer.concat([decipher.update(data.subarray(12, data.length - 16)), decipher.final()]);
}

function encryptCbc(secret: Uint8Array, plain: Uint8Array): Buffer {
  const iv = randomBytes(16);
  const cipher = createCipheriv(`aes-${secret.length * 8}-cbc`, secret, iv);
  return Buffer.concat([iv, cipher.update(plain), cipher.final()]);
}

function decryptCbc(secret: Uint8Array, data: Buffer): Buffer {
  const decipher = createDecipheriv(`aes-${secret.length * 8}-cbc`, secret, data.subarray(0, 16));
  return Buffer.concat([decipher.update(data.subarray(16)), decipher.final()]);
}

export function encryptValue(key: EncryptionKey, plain: Uint8Array, storageKey: string): Uint8Array {
  const data = key.provider === 'aesgcm' ? encryptGcm(key.secret, plain, storageKey) : encryptCbc(key.secret, plain);
  return Buffer.concat([prefixOf(key), data]);
}

/** Throws StoreError 'corrupt' for a value that none of the keys opens. */
export function decryptValue(keys: readonly EncryptionKey[], value: Uint8Array, storageKey: string): Uint8Array {
  // Nearly every value is JSON: one byte tells.
  if (value[0] !== marker[0]) return value;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (!bytes.subarray(0, marker.length).equals(marker)) return value;
  for (const key of keys) {
    const prefix = prefixOf(key);
    if (!bytes.subarray(0, prefix.length).equals(prefix)) continue;
    try {
      const data = bytes.subarray(prefix.length);
      return key.provider === 'aesgcm' ? decryptGcm(key.secret, data, storageKey) : decryptCbc(key.secret, data);
    } catch (cause) {
      throw new StoreError('corrupt', `${storageKey} cannot be decrypted with key ${key.name}`, { cause });
    }
  }
  const named = bytes.subarray(0, 100).toString('latin1').split(':').slice(2, 5).join(':');
  throw new StoreError('corrupt', `${storageKey} is encrypted with a key that is not configured (${named})`);
}

/** `policy` is read at each use: keys may be rotated while running. */
export function createEncryptedStore(store: Store, policy: () => EncryptionPolicy): Store {
  const covers = (key: string): boolean => policy().prefixes.some((p) => key.startsWith(p));
  const seal = (key: string, value: Uint8Array): Uint8Array => {
    const { write } = policy();
    return write === undefined || !covers(key) ? value : encryptValue(write, value, key);
  };
  // Also what is covered no longer may still be encrypted: the marker decides. No other value begins so, they are JSON.
  const open = (entry: Entry): Entry => {
    const value = decryptValue(policy().read, entry.value, entry.key);
    return value === entry.value ? entry : { ...entry, value };
  };
  const openEvent = (event: StoreEvent): StoreEvent => {
    const entry = open(event.entry);
    const previous = event.previous === undefined ? undefined : open(event.previous);
    if (entry === event.entry && previous === event.previous) return event;
    return { ...event, entry, ...(previous === undefined ? {} : { previous }) };
  };
  const withValue = (entry: Entry, value: Uint8Array): Entry => (entry.value === value ? entry : { ...entry, value });
  const openError = (error: unknown): unknown =>
    error instanceof StoreError && error.current !== undefined
      ? new StoreError(error.code, error.message, { current: open(error.current), cause: error.cause })
      : error;
  const written = async (key: string, value: Uint8Array, write: (sealed: Uint8Array) => Promise<Entry>): Promise<Entry> => {
    try {
      return withValue(await write(seal(key, value)), value);
    } catch (error) {
      throw openError(error);
    }
  };
  return {
    ...store,
    create: (key, value, options) => written(key, value, (sealed) => store.create(key, sealed, options)),
    update: (key, value, expected, options) => written(key, value, (sealed) => store.update(key, sealed, expected, options)),
    delete: async (key, expected, options) => {
      try {
        return open(await store.delete(key, expected, options));
      } catch (error) {
        throw openError(error);
      }
    },
    get: async (key) => {
      const entry = await store.get(key);
      return entry === undefined ? undefined : open(entry);
    },
    list: async (prefix, options) => {
      const result = await store.list(prefix, options);
      return { ...result, entries: result.entries.map(open) };
    },
    watch: (prefix, from, signal) => openAll(store.watch(prefix, from, signal), openEvent),
  };
}

async function* openAll(
  batches: AsyncIterable<readonly StoreEvent[]>,
  openEvent: (event: StoreEvent) => StoreEvent,
): AsyncIterable<readonly StoreEvent[]> {
  for await (const batch of batches) yield batch.map(openEvent);
}

const pageSize = 100;

/**
 * Writes every covered value anew, so that it is encrypted with the current key (or not at all). A value that changes
 * meanwhile has been written anew by that. Resolves to how many were rewritten.
 */
export async function rewriteEncrypted(store: Store, prefixes: readonly string[], signal: AbortSignal): Promise<number> {
  let count = 0;
  const rewrite = async (entry: Entry): Promise<void> => {
    try {
      await store.update(entry.key, entry.value, entry.revision satisfies Revision);
      count++;
    } catch (error) {
      if (!(error instanceof StoreError) || (error.code !== 'conflict' && error.code !== 'missing')) throw error;
    }
  };
  for (const prefix of prefixes) {
    let after: string | undefined;
    for (;;) {
      signal.throwIfAborted();
      const page = await store.list(prefix, { limit: pageSize, ...(after === undefined ? {} : { after }) });
      await Promise.all(page.entries.map(rewrite));
      const last = page.entries.at(-1);
      if (last === undefined || page.remaining === 0) break;
      after = last.key;
    }
  }
  return count;
}
