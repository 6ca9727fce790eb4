/** Chains of X.509 certificates. */
import { X509Certificate } from 'node:crypto';
import { pemBlocks } from './pem.ts';

/** Every certificate in a PEM text, in order. Throws an Error for one that cannot be read. */
export const certificatesOf = (pem: string): readonly X509Certificate[] =>
  pemBlocks(pem)
    .filter((b) => b.label === 'CERTIFICATE')
    .map((b) => new X509Certificate(b.text));

/** Whether the issuer's name and key are those that the certificate names and was signed with. */
export const signedBy = (cert: X509Certificate, issuer: X509Certificate): boolean =>
  cert.checkIssued(issuer) && cert.verify(issuer.publicKey);

/** Signed by itself. */
export const isRoot = (cert: X509Certificate): boolean => signedBy(cert, cert);

/** The root that a certificate leads up to, by way of authorities among `others`; undefined where none of the `others` is that root. */
export function rootOf(cert: X509Certificate, others: readonly X509Certificate[]): X509Certificate | undefined {
  const climb = (from: X509Certificate, seen: readonly X509Certificate[]): X509Certificate | undefined => {
    for (const issuer of others) {
      if (!issuer.ca || seen.includes(issuer) || !signedBy(from, issuer)) continue;
      const root = isRoot(issuer) ? issuer : climb(issuer, [...seen, issuer]);
      if (root !== undefined) return root;
    }
    return undefined;
  };
  return climb(cert, [cert]);
}
