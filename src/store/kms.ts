/**
 * Envelope encryption with a key service (KMS v2): values are encrypted here, with keys derived from a seed; the service encrypts the
 * seed, which stands beside each value in that form. k8s.io/apiserver pkg/storage/value/encrypt/envelope/kmsv2 and
 * pkg/server/options/encryptionconfig.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import protobuf from 'protobufjs/light.js';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { aesgcm, seededGcm } from './ciphers.ts';
import { StoreError } from './contract.ts';
import { bytesByName, type KmsService, type KmsStatus, type Wrapped } from './kms-service.ts';

export interface KmsSpec {
  readonly name: string;
  readonly socketPath: string;
  readonly timeoutMs: number;
}

/** One that encrypts by way of a service. */
export interface KmsKey {
  readonly provider: 'kms';
  readonly name: string;
  /** Throws StoreError 'io' while the service cannot be relied on. */
  readonly seal: (plain: Uint8Array, storageKey: string) => Buffer;
  /** Rejects with StoreError: 'io' when the service cannot be asked, 'corrupt' for what it did not encrypt. */
  readonly open: (data: Buffer, storageKey: string) => Promise<Buffer>;
}

export interface KmsProvider extends KmsKey {
  /** Asks the service how it is, and encrypts with another seed where it has another key. Undefined: all is well, else why not. */
  readonly check: () => Promise<string | undefined>;
  /** What the last check found. */
  readonly problem: () => string | undefined;
  /** Asks again and again until the signal aborts; closes the connection then. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

interface Seed {
  readonly plain: Uint8Array;
  readonly wrapped: Wrapped;
}

const seedBytes = 32;
/** How often the service is asked how it is while it is well, and while it is not. */
const wellMs = 60_000;
const unwellMs = 10_000;
/** How long a seed encrypts without the service having been asked. */
const validMs = 180_000;
/** Seeds in the clear, the last used last. */
const remembered = 1000;
const longestKeyId = 1024;
const longestCiphertext = 1024;
const versions = ['v2', 'v2beta1'];

const seedType = { aesGcmKey: 0, hkdfSeed: 1 } as const;

/** The stored form of a value: kmsv2/v2/api.proto. */
const EncryptedObject = protobuf.Root.fromJSON({
  nested: {
    EncryptedObject: {
      fields: {
        encryptedData: { type: 'bytes', id: 1 },
        keyID: { type: 'string', id: 2 },
        encryptedDEKSource: { type: 'bytes', id: 3 },
        annotations: { ...bytesByName, id: 4 },
        encryptedDEKSourceType: { type: 'int32', id: 5 },
      },
    },
  },
}).lookupType('EncryptedObject');

interface Sealed {
  readonly encryptedData: Uint8Array;
  readonly keyID: string;
  readonly encryptedDEKSource: Uint8Array;
  readonly annotations: Wrapped['annotations'];
  readonly encryptedDEKSourceType: number;
}

function decodeSealed(data: Buffer): Sealed {
  const message = EncryptedObject.decode(data);
  return EncryptedObject.toObject(message, { defaults: true, objects: true }) as Sealed;
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function keyIdProblem(keyId: string): string | undefined {
  if (keyId === '') return 'keyID is empty';
  return Buffer.byteLength(keyId) > longestKeyId ? `keyID is ${Buffer.byteLength(keyId)} bytes, max size is ${longestKeyId}` : undefined;
}

/** What speaks against relying on the service. */
function statusProblem({ healthz, version, keyId }: KmsStatus): string | undefined {
  if (healthz !== 'ok') return `got unexpected healthz status: ${healthz}`;
  if (!versions.includes(version)) return `expected KMSv2 API version v2, got ${version}`;
  const problem = keyIdProblem(keyId);
  return problem === undefined ? undefined : `got invalid KMSv2 KeyID ${JSON.stringify(keyId)}: ${problem}`;
}

function wrappedProblem({ ciphertext, keyId, annotations }: Wrapped): string | undefined {
  if (ciphertext.length === 0) return 'encrypted DEK source is empty';
  if (ciphertext.length > longestCiphertext) return `encrypted DEK source is ${ciphertext.length} bytes, which exceeds the max size`;
  if (Object.keys(annotations).some((name) => !/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(name)))
    return 'annotation keys should be fully qualified domain names';
  return keyIdProblem(keyId);
}

/** Nothing is asked of the service before the first call of what is given back. */
export function createKmsProvider(
  { name }: Pick<KmsSpec, 'name'>,
  service: KmsService,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): KmsProvider {
  let current: (Seed & { readonly statusKeyId: string; readonly until: number }) | undefined;
  let problem: string | undefined = 'the service has not been asked yet';
  const seeds = new Map<string, Promise<Uint8Array>>();

  const keyOf = (source: Uint8Array): string => createHash('sha256').update(source).digest('base64');
  const remember = (source: Uint8Array, seed: Promise<Uint8Array>): void => {
    const key = keyOf(source);
    seeds.delete(key);
    seeds.set(key, seed);
    for (const oldest of seeds.keys()) {
      if (seeds.size <= remembered) break;
      seeds.delete(oldest);
    }
  };
  const unwrap = (wrapped: Wrapped): Promise<Uint8Array> => {
    const known = seeds.get(keyOf(wrapped.ciphertext));
    if (known !== undefined) {
      remember(wrapped.ciphertext, known);
      return known;
    }
    const asked = service.decrypt(wrapped, randomUUID()).catch((error: unknown) => {
      seeds.delete(keyOf(wrapped.ciphertext));
      throw new StoreError('io', `failed to decrypt DEK, error: ${reasonOf(error)}`, { cause: error });
    });
    remember(wrapped.ciphertext, asked);
    return asked;
  };
  const makeSeed = async (): Promise<Seed> => {
    const plain = randomBytes(seedBytes);
    const wrapped = await service.encrypt(plain, randomUUID());
    const wrong = wrappedProblem(wrapped);
    if (wrong !== undefined) throw new Error(`failed to validate encrypt response: ${wrong}`);
    return { plain, wrapped };
  };
  const look = async (): Promise<void> => {
    const status = await service.status();
    const wrong = statusProblem(status);
    if (wrong !== undefined) throw new Error(wrong);
    const seed = current?.statusKeyId === status.keyId ? current : await makeSeed();
    if (seed !== current) {
      remember(seed.wrapped.ciphertext, Promise.resolve(seed.plain));
      log.info('values are encrypted with a key of the key service', { provider: name, keyId: seed.wrapped.keyId });
    }
    current = { ...seed, statusKeyId: status.keyId, until: clock.monotonic() + validMs };
  };
  let looking: Promise<string | undefined> | undefined;
  const check = (): Promise<string | undefined> => {
    looking ??= look()
      .then(
        () => undefined,
        (error: unknown) => reasonOf(error),
      )
      .then((found) => {
        if (found !== undefined && found !== problem) log.warn('the key service cannot be relied on', { provider: name, reason: found });
        problem = found;
        looking = undefined;
        return found;
      });
    return looking;
  };
  return {
    provider: 'kms',
    name,
    seal: (plain, storageKey) => {
      if (current === undefined) throw new StoreError('io', `kms provider ${name}: ${problem ?? 'there is no key yet'}`);
      if (clock.monotonic() >= current.until)
        throw new StoreError(
          'io',
          `kms provider ${name}: encryptedDEKSource with keyID ${JSON.stringify(current.wrapped.keyId)} expired: ${problem}`,
        );
      const { ciphertext, keyId, annotations } = current.wrapped;
      const sealed: Sealed = {
        encryptedData: seededGcm.encrypt(current.plain, plain, storageKey),
        keyID: keyId,
        encryptedDEKSource: ciphertext,
        annotations,
        encryptedDEKSourceType: seedType.hkdfSeed,
      };
      return Buffer.from(EncryptedObject.encode(EncryptedObject.fromObject(sealed)).finish());
    },
    open: async (data, storageKey) => {
      let sealed: Sealed;
      try {
        sealed = decodeSealed(data);
      } catch (cause) {
        throw new StoreError('corrupt', `${storageKey} cannot be decrypted with kms provider ${name}`, { cause });
      }
      const { encryptedData, encryptedDEKSource: ciphertext, keyID: keyId, annotations, encryptedDEKSourceType: type } = sealed;
      const seed = await unwrap({ ciphertext, keyId, annotations });
      try {
        return (type === seedType.hkdfSeed ? seededGcm : aesgcm).decrypt(seed, Buffer.from(encryptedData), storageKey);
      } catch (cause) {
        throw new StoreError('corrupt', `${storageKey} cannot be decrypted with kms provider ${name}`, { cause });
      }
    },
    check,
    problem: () => problem,
    run: async (signal) => {
      try {
        while (!signal.aborted) {
          const found = await check();
          await clock.sleep(found === undefined ? wellMs : unwellMs, signal).catch(() => undefined);
        }
      } finally {
        service.close();
      }
    },
  };
}
