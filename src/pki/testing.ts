/** Authorities for tests. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { issueCertificate } from '#lib/x509.ts';
import { newKey } from './certificates.ts';

export interface TestAuthority {
  readonly name: string;
  readonly key: KeyObject;
  readonly keyPem: string;
  readonly certPem: string;
}

const hourMs = 3600_000;

/** Signed by `signer`, or by itself. */
export function testAuthority(name: string, signer?: { readonly key: KeyObject; readonly certPem: string }, key = newKey()): TestAuthority {
  const certPem = issueCertificate(
    {
      subject: { commonName: name, organizations: [] },
      publicKey: createPublicKey(key),
      ca: true,
      keyUsages: ['digital signature', 'cert sign'],
      notBefore: new Date(Date.now() - hourMs),
      notAfter: new Date(Date.now() + 24 * hourMs),
    },
    signer ?? { key },
  );
  return { name, key, certPem, keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
}
