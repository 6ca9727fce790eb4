/** The ciphers of encryption at rest, in the forms of Kubernetes (k8s.io/apiserver pkg/storage/value/encrypt). */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';

/** `storageKey` is authenticated with the value where the cipher can, so that values cannot be swapped between keys. */
export interface Cipher {
  readonly encrypt: (secret: Uint8Array, plain: Uint8Array, storageKey: string) => Buffer;
  /** Throws for what was not encrypted so. */
  readonly decrypt: (secret: Uint8Array, data: Buffer, storageKey: string) => Buffer;
}

const gcmName = (secret: Uint8Array) => `aes-${(secret.length * 8) as 128 | 192 | 256}-gcm` as const;

export const aesgcm: Cipher = {
  encrypt: (secret, plain, storageKey) => {
    const nonce = randomBytes(12);
    const cipher = createCipheriv(gcmName(secret), secret, nonce);
    cipher.setAAD(Buffer.from(storageKey));
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  },
  decrypt: (secret, data, storageKey) => {
    const decipher = createDecipheriv(gcmName(secret), secret, data.subarray(0, 12));
    decipher.setAAD(Buffer.from(storageKey));
    decipher.setAuthTag(data.subarray(data.length - 16));
    return Buffer.concat([decipher.update(data.subarray(12, data.length - 16)), decipher.final()]);
  },
};

export const aescbc: Cipher = {
  encrypt: (secret, plain) => {
    const iv = randomBytes(16);
    const cipher = createCipheriv(`aes-${secret.length * 8}-cbc`, secret, iv);
    return Buffer.concat([iv, cipher.update(plain), cipher.final()]);
  },
  decrypt: (secret, data) => {
    const decipher = createDecipheriv(`aes-${secret.length * 8}-cbc`, secret, data.subarray(0, 16));
    return Buffer.concat([decipher.update(data.subarray(16)), decipher.final()]);
  },
};

const boxNonceBytes = 24;

/** Go's nacl/secretbox: XSalsa20 and Poly1305, the nonce in front. */
export const secretbox: Cipher = {
  encrypt: (secret, plain) => {
    const nonce = randomBytes(boxNonceBytes);
    return Buffer.concat([nonce, xsalsa20poly1305(secret, nonce).encrypt(plain)]);
  },
  decrypt: (secret, data) => Buffer.from(xsalsa20poly1305(secret, data.subarray(0, boxNonceBytes)).decrypt(data.subarray(boxNonceBytes))),
};

const infoBytes = 32;

/** HKDF-Expand of RFC 5869 with SHA-256, for as many bytes as one hash has. */
const expanded = (seed: Uint8Array, info: Uint8Array): Buffer => createHmac('sha256', seed).update(info).update(Uint8Array.of(1)).digest();

/** AES-GCM with a key of its own for each value, derived from a seed; what it is derived with stands in front (aes_extended_nonce.go). */
export const seededGcm: Cipher = {
  encrypt: (seed, plain, storageKey) => {
    const info = randomBytes(infoBytes);
    return Buffer.concat([info, aesgcm.encrypt(expanded(seed, info), plain, storageKey)]);
  },
  decrypt: (seed, data, storageKey) => aesgcm.decrypt(expanded(seed, data.subarray(0, infoBytes)), data.subarray(infoBytes), storageKey),
};
