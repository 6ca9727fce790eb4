/** Client certificates: the common name is the user, organizations are groups. k8s.io/apiserver authentication/request/x509. */
import { createHash, X509Certificate } from 'node:crypto';
import { pemBlocks } from '#lib/pem.ts';
import { extendedUsages, readCertificate } from '#lib/x509.ts';
import type { Clock } from '#platform/clock.ts';
import type { UserInfo } from '../contract.ts';
import type { RequestAuthenticator } from './types.ts';

export const authoritiesOf = (pem: string): readonly X509Certificate[] =>
  pemBlocks(pem)
    .filter((b) => b.label === 'CERTIFICATE')
    .map((b) => new X509Certificate(b.text));

interface Validity {
  readonly from: number;
  readonly to: number;
}

const validityOf = (c: X509Certificate): Validity => ({ from: Date.parse(c.validFrom), to: Date.parse(c.validTo) });

/** Throws an Error with Go's text unless an authority signed the certificate and it is valid now and for clients. */
export function verifyClientCertificate(cert: X509Certificate, authorities: readonly X509Certificate[], now: number): void {
  const validity = validityOf(cert);
  if (now < validity.from || now > validity.to)
    throw new Error(
      `x509: certificate has expired or is not yet valid: current time ${new Date(now).toISOString()} is ${now < validity.from ? `before ${new Date(validity.from).toISOString()}` : `after ${new Date(validity.to).toISOString()}`}`,
    );
  const issuer = authorities.find((a) => cert.checkIssued(a) && cert.verify(a.publicKey));
  if (issuer === undefined) throw new Error('x509: certificate signed by unknown authority');
  const usages: readonly string[] | undefined = cert.keyUsage;
  if (usages !== undefined && !usages.includes(extendedUsages['client auth']) && !usages.includes(extendedUsages.any))
    throw new Error('x509: certificate specifies an incompatible key usage');
}

interface Verified {
  readonly user: UserInfo | undefined;
  readonly error: Error | undefined;
  /** When the answer has to be looked at again. */
  readonly until: number;
}

function verify(raw: Uint8Array, authorities: readonly X509Certificate[], now: number): Verified {
  const cert = new X509Certificate(raw);
  const until = Math.min(validityOf(cert).to, now + 3600_000);
  try {
    verifyClientCertificate(cert, authorities, now);
  } catch (error) {
    return { user: undefined, error: error instanceof Error ? error : new Error(String(error)), until: now };
  }
  const { subject } = readCertificate(raw);
  if (subject.commonName === '') return { user: undefined, error: undefined, until };
  const id = createHash('sha256').update(raw).digest('hex');
  return {
    user: {
      name: subject.commonName,
      groups: subject.organizations,
      extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${id}`] },
    },
    error: undefined,
    until,
  };
}

/** `authorities` is read for every new connection, so an authority that was renewed counts at once. */
export function clientCertificates(authorities: () => readonly X509Certificate[], clock: Clock): RequestAuthenticator {
  const perConnection = new WeakMap<object, Verified>();
  return (request) => {
    if (request.peer === undefined) return undefined;
    const now = clock.now();
    let known = perConnection.get(request.connection);
    if (known === undefined || now >= known.until) {
      known = verify(request.peer.raw, authorities(), now);
      perConnection.set(request.connection, known);
    }
    if (known.error !== undefined) throw known.error;
    return known.user;
  };
}
