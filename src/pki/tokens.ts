/** The token with which nodes join: K10<SHA-256 of the authority>::<user>:<password>. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { certificatesOf, rootOf } from '#lib/x509-chain.ts';

export interface JoinToken {
  /** caHash of what /cacerts answers; absent in the short form. */
  readonly caHash?: string;
  readonly user?: string;
  readonly password: string;
  /** A bootstrap token (abcdef.0123456789abcdef), to be sent as a bearer token. */
  readonly bootstrap: boolean;
}

const bootstrapForm = /^[a-z0-9]{6}\.[a-z0-9]{16}$/;

/** Reads a full or short token. Throws an Error that says what is wrong with it. */
export function parseToken(text: string): JoinToken {
  const token = text.trim();
  if (token === '') throw new Error('token is empty');
  if (!token.startsWith('K10')) return { password: token, bootstrap: bootstrapForm.test(token) };
  const split = token.indexOf('::');
  const caHash = token.slice(3, split);
  if (split < 0 || !/^[0-9a-f]{64}$/.test(caHash)) throw new Error('invalid token: expected K10<64 hexadecimal digits>::<user>:<password>');
  const rest = token.slice(split + 2);
  if (bootstrapForm.test(rest)) return { caHash, password: rest, bootstrap: true };
  const colon = rest.indexOf(':');
  if (colon < 0) return rest === '' ? fail() : { caHash, password: rest, bootstrap: false };
  if (colon === rest.length - 1) fail();
  return { caHash, user: rest.slice(0, colon), password: rest.slice(colon + 1), bootstrap: false };
}

function fail(): never {
  throw new Error('invalid token: the password is missing');
}

/**
 * What a token says of the authority: the SHA-256 of its PEM text, or, of several certificates, that of the root that the first of them
 * leads up to, so that an authority below the same root may be replaced. K3s clientaccess hashCA.
 */
export function caHash(caPem: string): string {
  const [first, ...others] = certificatesOf(caPem);
  const root = first === undefined || others.length === 0 ? undefined : rootOf(first, others);
  return createHash('sha256')
    .update(root?.raw ?? caPem)
    .digest('hex');
}

/** The full form. */
export const formatToken = (caPem: string, user: string, password: string): string => `K10${caHash(caPem)}::${user}:${password}`;

/** Whether an authority fetched over an unverified connection is the one that the token names. A short token names none and trusts any. */
export function trustsAuthority(token: JoinToken, caPem: string): boolean {
  if (token.caHash === undefined) return true;
  return timingSafeEqual(Buffer.from(token.caHash, 'hex'), Buffer.from(caHash(caPem), 'hex'));
}
