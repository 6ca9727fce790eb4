/** Client certificates: the common name is the user, organizations are groups. k8s.io/apiserver authentication/request/x509. */
import { createHash, X509Certificate } from 'node:crypto';
import { type DistinguishedName, extendedUsages, readCertificate } from '#lib/x509.ts';
import { signedBy } from '#lib/x509-chain.ts';
import { checkChainNames } from '#lib/x509-constraints.ts';
import type { Clock } from '#platform/clock.ts';
import type { AuthnRequest, UserInfo } from '../contract.ts';
import type { RequestAuthenticator } from './types.ts';

interface Validity {
  readonly from: number;
  readonly to: number;
}

const validityOf = (c: X509Certificate): Validity => ({ from: Date.parse(c.validFrom), to: Date.parse(c.validTo) });

/** A certificate with those that the client sent along. */
export interface PeerChain {
  readonly cert: X509Certificate;
  readonly intermediates: readonly X509Certificate[];
}

function checkDates(cert: X509Certificate, now: number): void {
  const { from, to } = validityOf(cert);
  if (now >= from && now <= to) return;
  const side = now < from ? `before ${new Date(from).toISOString()}` : `after ${new Date(to).toISOString()}`;
  throw new Error(`x509: certificate has expired or is not yet valid: current time ${new Date(now).toISOString()} is ${side}`);
}

function checkUsage(cert: X509Certificate): void {
  const usages: readonly string[] | undefined = cert.keyUsage;
  if (usages !== undefined && !usages.includes(extendedUsages['client auth']) && !usages.includes(extendedUsages.any))
    throw new Error('x509: certificate specifies an incompatible key usage');
}

/** `below`: how many authorities stand between this one and the client's certificate. */
function checkPathLength(cert: X509Certificate, below: number): void {
  const { pathLength } = readCertificate(cert.raw);
  if (pathLength !== undefined && below > pathLength) throw new Error('x509: too many intermediates for path length constraint');
}

/** Whether the chain ends at one of the authorities, valid or not. */
export const issuedBelow = (chain: PeerChain, authorities: readonly X509Certificate[]): boolean =>
  [chain.cert, ...chain.intermediates].some((c) => authorities.some((a) => signedBy(c, a)));

/**
 * Throws an Error with Go's text unless a chain of valid certificates, all of them for clients, leads from the client's to
 * an authority. Returns when the first of them ends.
 */
export function verifyClientCertificate(chain: PeerChain, authorities: readonly X509Certificate[], now: number): number {
  let complaint: unknown;
  const climb = (cert: X509Certificate, path: readonly X509Certificate[]): number => {
    checkDates(cert, now);
    checkUsage(cert);
    if (path.length > 0) {
      if (!cert.ca) throw new Error('x509: invalid signature: parent certificate cannot sign this kind of certificate');
      checkPathLength(cert, path.length - 1);
    }
    const ends = validityOf(cert).to;
    const above = [...path, cert];
    for (const authority of authorities)
      if (signedBy(cert, authority)) {
        checkDates(authority, now);
        checkPathLength(authority, path.length);
        // Only now is it known that all of them were signed by somebody to be believed.
        checkChainNames([...above, authority].map((c) => c.raw));
        return Math.min(ends, validityOf(authority).to);
      }
    for (const next of chain.intermediates) {
      if (above.includes(next) || !signedBy(cert, next)) continue;
      try {
        return Math.min(ends, climb(next, above));
      } catch (error) {
        complaint ??= error;
      }
    }
    throw complaint ?? new Error('x509: certificate signed by unknown authority');
  };
  return climb(chain.cert, []);
}

/** Where the subject names a user's uid (AllowParsingUserUIDFromCertAuth). */
const uidAttribute = '1.3.6.1.4.1.57683.2';

function uidOf(subject: DistinguishedName): string | undefined {
  const uids = (subject.others ?? []).filter((o) => o.oid === uidAttribute).map((o) => o.value);
  if (uids.length > 1) throw new Error(`expected 1 UID, but found multiple: [${uids.join(' ')}]`);
  if (uids[0] === '') throw new Error('UID cannot be an empty string');
  return uids[0];
}

function userOf(raw: Uint8Array): UserInfo | undefined {
  const { subject } = readCertificate(raw);
  if (subject.commonName === '') return undefined;
  const uid = uidOf(subject);
  const id = createHash('sha256').update(raw).digest('hex');
  return {
    name: subject.commonName,
    ...(uid === undefined ? {} : { uid }),
    groups: subject.organizations,
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${id}`] },
  };
}

interface Verified {
  readonly user: UserInfo | undefined;
  readonly error: Error | undefined;
  /** When the answer has to be looked at again. */
  readonly until: number;
}

function verify(peer: AuthnRequest['peer'] & object, authorities: readonly X509Certificate[], now: number): Verified {
  try {
    const chain = { cert: new X509Certificate(peer.raw), intermediates: peer.intermediates.map((i) => new X509Certificate(i)) };
    const ends = verifyClientCertificate(chain, authorities, now);
    return { user: userOf(peer.raw), error: undefined, until: Math.min(ends, now + 3600_000) };
  } catch (error) {
    return { user: undefined, error: error instanceof Error ? error : new Error(String(error)), until: now };
  }
}

/** `authorities` is read for every new connection, so an authority that was renewed counts at once. */
export function clientCertificates(authorities: () => readonly X509Certificate[], clock: Clock): RequestAuthenticator {
  const perConnection = new WeakMap<object, Verified>();
  return (request) => {
    if (request.peer === undefined) return undefined;
    const now = clock.now();
    let known = perConnection.get(request.connection);
    if (known === undefined || now >= known.until) {
      known = verify(request.peer, authorities(), now);
      perConnection.set(request.connection, known);
    }
    if (known.error !== undefined) throw known.error;
    return known.user;
  };
}
