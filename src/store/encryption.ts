/**
 * Encryption at rest: a store over another that encrypts the values of some keys. The stored form is Kubernetes'
 * (k8s.io/apiserver storage/value): `k8s:enc:<provider>:v1:<key name>:` and the encrypted value; values without
 * that prefix are as they were written.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { type Entry, type Revision, type Store, StoreError, type StoreEvent } from './contract.ts';

export type EncryptionProvider = 'aescbc' | 'aesgcm' | 'secretbox';

export interface EncryptionKey {
  readonly provider: EncryptionProvider;
  readonly name: string;
  /** 16, 24 or 32 bytes; for secretbox 32. */
  readonly secret: Uint8Array;
}

/** How the values below some key prefixes are encrypted. */
export interface EncryptionRule {
  /** Key prefixes such as /registry/core/secrets/. */
  readonly prefixes: readonly string[];
  /** Encrypts new values; undefined: they are stored as they are. */
  readonly write: EncryptionKey | undefined;
  /** All keys that values may have been encrypted with, in the order in which they are tried. */
  readonly read: readonly EncryptionKey[];
}

/** What is encrypted, and how: the first rule that covers a key decides. */
export type EncryptionPolicy = readonly EncryptionRule[];

const ruleFor = (policy: EncryptionPolicy, key: string): EncryptionRule | undefined =>
  policy.find((rule) => rule.prefixes.some((p) => key.startsWith(p)));

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

const boxNonceBytes = 24;

/** Go's nacl/secretbox: XSalsa20 and Poly1305, the nonce in front. */
function encryptBox(secret: Uint8Array, plain: Uint8Array): Buffer {
  const nonce = randomBytes(boxNonceBytes);
  return Buffer.concat([nonce, xsalsa20poly1305(secret, nonce).encrypt(plain)]);
}

const decryptBox = (secret: Uint8Array, data: Buffer): Buffer =>
  Buffer.from(xsalsa20poly1305(secret, data.subarray(0, boxNonceBytes)).decrypt(data.subarray(boxNonceBytes)));

function encryptWith(key: EncryptionKey, plain: Uint8Array, storageKey: string): Buffer {
  switch (key.provider) {
    case 'aesgcm':
      return encryptGcm(key.secret, plain, storageKey);
    case 'aescbc':
      return encryptCbc(key.secret, plain);
    case 'secretbox':
      return encryptBox(key.secret, plain);
  }
}

function decryptWith(key: EncryptionKey, data: Buffer, storageKey: string): Buffer {
  switch (key.provider) {
    case 'aesgcm':
      return decryptGcm(key.secret, data, storageKey);
    case 'aescbc':
      return decryptCbc(key.secret, data);
    case 'secretbox':
      return decryptBox(key.secret, data);
  }
}

export const encryptValue = (key: EncryptionKey, plain: Uint8Array, storageKey: string): Uint8Array =>
  Buffer.concat([prefixOf(key), encryptWith(key, plain, storageKey)]);

// Nearly every value is JSON: one byte tells.
const isSealed = (value: Uint8Array): boolean =>
  value[0] === marker[0] && marker.equals(Buffer.from(value.buffer, value.byteOffset, Math.min(marker.length, value.byteLength)));

/** Throws StoreError 'corrupt' for a value that none of the keys opens. */
export function decryptValue(keys: readonly EncryptionKey[], value: Uint8Array, storageKey: string): Uint8Array {
  if (!isSealed(value)) return value;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  let failure: StoreError | undefined;
  for (const key of keys) {
    const prefix = prefixOf(key);
    if (!bytes.subarray(0, prefix.length).equals(prefix)) continue;
    try {
      return decryptWith(key, bytes.subarray(prefix.length), storageKey);
    } catch (cause) {
      // Another rule may have another key of the same name.
      failure ??= new StoreError('corrupt', `${storageKey} cannot be decrypted with key ${key.name}`, { cause });
    }
  }
  if (failure !== undefined) throw failure;
  const named = bytes.subarray(0, 100).toString('latin1').split(':').slice(2, 5).join(':');
  throw new StoreError('corrupt', `${storageKey} is encrypted with a key that is not configured (${named})`);
}

/** `policy` is read at each use: keys may be rotated while running. */
export function createEncryptedStore(store: Store, policy: () => EncryptionPolicy): Store {
  const seal = (key: string, value: Uint8Array): Uint8Array => {
    const write = ruleFor(policy(), key)?.write;
    return write === undefined ? value : encryptValue(write, value, key);
  };
  // Also what is covered no longer may still be encrypted: the marker decides. No other value begins so, they are JSON.
  const keysFor = (key: string): readonly EncryptionKey[] => {
    const rules = policy();
    const own = ruleFor(rules, key)?.read ?? [];
    return [...own, ...rules.flatMap((r) => r.read).filter((k) => !own.includes(k))];
  };
  const open = (entry: Entry): Entry => {
    const value = isSealed(entry.value) ? decryptValue(keysFor(entry.key), entry.value, entry.key) : entry.value;
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
