/**
 * Encryption at rest: a store over another that encrypts the values of some keys. The stored form is Kubernetes'
 * (k8s.io/apiserver storage/value): `k8s:enc:<provider>:v1:<key name>:` and the encrypted value; values without
 * that prefix are as they were written.
 */
import { aescbc, aesgcm, type Cipher, secretbox } from './ciphers.ts';
import { type Entry, type Revision, type Store, StoreError, type StoreEvent } from './contract.ts';
import type { KmsKey } from './kms.ts';

export type LocalProvider = 'aescbc' | 'aesgcm' | 'secretbox';

export interface LocalKey {
  readonly provider: LocalProvider;
  readonly name: string;
  /** 16, 24 or 32 bytes; for secretbox 32. */
  readonly secret: Uint8Array;
}

export type EncryptionKey = LocalKey | KmsKey;

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
const prefixOf = ({ provider, name }: EncryptionKey): Buffer =>
  Buffer.from(`k8s:enc:${provider}:${provider === 'kms' ? 'v2' : 'v1'}:${name}:`);

const ciphers: Readonly<Record<LocalProvider, Cipher>> = { aescbc, aesgcm, secretbox };

/** Throws StoreError 'io' while a key service cannot be relied on. */
export function encryptValue(key: EncryptionKey, plain: Uint8Array, storageKey: string): Uint8Array {
  const sealed = key.provider === 'kms' ? key.seal(plain, storageKey) : ciphers[key.provider].encrypt(key.secret, plain, storageKey);
  return Buffer.concat([prefixOf(key), sealed]);
}

// Nearly every value is JSON: one byte tells.
const isSealed = (value: Uint8Array): boolean =>
  value[0] === marker[0] && marker.equals(Buffer.from(value.buffer, value.byteOffset, Math.min(marker.length, value.byteLength)));

/** Only what a key service encrypted may have to be waited for. Throws, or rejects with, StoreError: 'corrupt' for a value that none of the keys opens. */
export function decryptValue(keys: readonly EncryptionKey[], value: Uint8Array, storageKey: string): Uint8Array | Promise<Uint8Array> {
  if (!isSealed(value)) return value;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  let failure: StoreError | undefined;
  for (const key of keys) {
    const prefix = prefixOf(key);
    if (!bytes.subarray(0, prefix.length).equals(prefix)) continue;
    if (key.provider === 'kms') return key.open(bytes.subarray(prefix.length), storageKey);
    try {
      return ciphers[key.provider].decrypt(key.secret, bytes.subarray(prefix.length), storageKey);
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
  const open = (entry: Entry): Entry | Promise<Entry> => {
    if (!isSealed(entry.value)) return entry;
    const value = decryptValue(keysFor(entry.key), entry.value, entry.key);
    return value instanceof Promise ? value.then((plain) => ({ ...entry, value: plain })) : { ...entry, value };
  };
  const openEvent = (event: StoreEvent): StoreEvent | Promise<StoreEvent> => {
    const entry = open(event.entry);
    const previous = event.previous === undefined ? undefined : open(event.previous);
    if (entry === event.entry && previous === event.previous) return event;
    const opened = (now: Entry, before: Entry | undefined): StoreEvent => ({
      ...event,
      entry: now,
      ...(before === undefined ? {} : { previous: before }),
    });
    if (entry instanceof Promise || previous instanceof Promise)
      return Promise.all([entry, previous]).then(([now, before]) => opened(now, before));
    return opened(entry, previous);
  };
  const withValue = (entry: Entry, value: Uint8Array): Entry => (entry.value === value ? entry : { ...entry, value });
  const openError = async (error: unknown): Promise<unknown> =>
    error instanceof StoreError && error.current !== undefined
      ? new StoreError(error.code, error.message, { current: await open(error.current), cause: error.cause })
      : error;
  const written = async (key: string, value: Uint8Array, write: (sealed: Uint8Array) => Promise<Entry>): Promise<Entry> => {
    try {
      return withValue(await write(seal(key, value)), value);
    } catch (error) {
      throw await openError(error);
    }
  };
  return {
    ...store,
    create: (key, value, options) => written(key, value, (sealed) => store.create(key, sealed, options)),
    update: (key, value, expected, options) => written(key, value, (sealed) => store.update(key, sealed, expected, options)),
    delete: async (key, expected, options) => {
      try {
        return await open(await store.delete(key, expected, options));
      } catch (error) {
        throw await openError(error);
      }
    },
    get: async (key) => {
      const entry = await store.get(key);
      return entry === undefined ? undefined : await open(entry);
    },
    list: async (prefix, options) => {
      const result = await store.list(prefix, options);
      return { ...result, entries: await settled(result.entries.map(open)) };
    },
    watch: (prefix, from, signal) => openAll(store.watch(prefix, from, signal), openEvent),
  };
}

/** Waits only where there is something to wait for: a list may be long. */
async function settled<T>(items: readonly (T | Promise<T>)[]): Promise<readonly T[]> {
  const known = (all: readonly (T | Promise<T>)[]): all is readonly T[] => !all.some((item) => item instanceof Promise);
  return known(items) ? items : await Promise.all(items);
}

async function* openAll(
  batches: AsyncIterable<readonly StoreEvent[]>,
  openEvent: (event: StoreEvent) => StoreEvent | Promise<StoreEvent>,
): AsyncIterable<readonly StoreEvent[]> {
  for await (const batch of batches) yield await settled(batch.map(openEvent));
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
