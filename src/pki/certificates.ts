/** Authorities and certificates in files: read when good, made when absent or due. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { type AltNames, type ExtendedUsageName, firstCertificate, issueCertificate, noAltNames, readCertificate } from '#lib/x509.ts';
import { certificatesOf } from '#lib/x509-chain.ts';
import { readText, writeAtomically } from './files.ts';

const dayMs = 24 * 3600 * 1000;
export const leafLifeMs = 365 * dayMs;
const authorityLifeMs = 3650 * dayMs;
/** Certificates count as valid from a little before now, for clients whose clocks are behind. */
const backdateMs = 5 * 60 * 1000;

export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
  readonly certPath: string;
  readonly keyPath: string;
  /** When it is to be replaced: two thirds of its life. */
  readonly renewAt: number;
  /** True when this call made the certificate. */
  readonly issued: boolean;
}

export interface Leaf {
  readonly name: string;
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly usages: readonly ExtendedUsageName[];
  readonly altNames?: AltNames;
}

export const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const pemOf = (key: KeyObject): string => key.export({ type: key.asymmetricKeyType === 'ec' ? 'sec1' : 'pkcs8', format: 'pem' }).toString();

/** Two thirds of the way from the start of a certificate's life to its end. */
export function renewalTime(certPem: string): number {
  const cert = new X509Certificate(certPem);
  const from = Date.parse(cert.validFrom);
  return from + ((Date.parse(cert.validTo) - from) * 2) / 3;
}

/** Whether the first certificate of a text is that of a key. */
export function belongTogether(certPem: string, key: KeyObject): boolean {
  try {
    return new X509Certificate(certPem).checkPrivateKey(key);
  } catch {
    return false;
  }
}

const sameNames = (a: AltNames, b: AltNames): boolean =>
  (['dns', 'ip', 'email', 'uri'] as const).every((k) => JSON.stringify([...a[k]].sort()) === JSON.stringify([...b[k]].sort()));

/**
 * The authority called `name` in a directory. A key without a certificate gets one; a certificate past two thirds of
 * its life is made anew over the same key and name, so what it has signed stays valid. Throws when the files do not
 * belong together, since making another authority would lock everybody out.
 */
export async function ensureAuthority(dir: string, name: string, now: number): Promise<KeyPair> {
  const keyPath = join(dir, `${name}.key`);
  const certPath = join(dir, `${name}.crt`);
  const [keyText, certText] = await Promise.all([readText(keyPath), readText(certPath)]);
  if (keyText === undefined && certText !== undefined) throw new Error(`${certPath} is there but its key ${keyPath} is missing`);
  const key = keyText === undefined ? newKey() : createPrivateKey(keyText);
  const keyPem = keyText ?? pemOf(key);
  if (certText !== undefined && !belongTogether(certText, key)) throw new Error(`${certPath} and ${keyPath} do not belong together`);
  if (certText !== undefined) {
    const renewAt = renewalTime(certText);
    // An authority of somebody else's is theirs to renew.
    const own = readCertificate(firstCertificate(certText)).subject.commonName.startsWith('k3ts-') && certificatesOf(certText).length === 1;
    if (renewAt > now || !own) return { certPem: certText, keyPem, certPath, keyPath, renewAt, issued: false };
  }
  const commonName =
    certText === undefined ? `k3ts-${name}@${Math.floor(now / 1000)}` : readCertificate(firstCertificate(certText)).subject.commonName;
  const certPem = issueCertificate(
    {
      subject: { commonName, organizations: [] },
      publicKey: createPublicKey(key),
      notBefore: new Date(now - backdateMs),
      notAfter: new Date(now + authorityLifeMs),
      ca: true,
      keyUsages: ['digital signature', 'key encipherment', 'cert sign'],
    },
    { key },
  );
  if (keyText === undefined) await writeAtomically(keyPath, keyPem);
  await writeAtomically(certPath, certPem, 0o644);
  return { certPem, keyPem, certPath, keyPath, renewAt: renewalTime(certPem), issued: true };
}

function stillGood(certText: string, key: KeyObject, leaf: Leaf, authority: KeyPair, now: number): boolean {
  if (!belongTogether(certText, key) || renewalTime(certText) <= now) return false;
  const issuer = new X509Certificate(authority.certPem);
  const cert = new X509Certificate(firstCertificate(certText));
  if (!cert.checkIssued(issuer) || !cert.verify(issuer.publicKey)) return false;
  const read = readCertificate(firstCertificate(certText));
  return (
    read.subject.commonName === leaf.commonName &&
    JSON.stringify(read.subject.organizations) === JSON.stringify(leaf.organizations ?? []) &&
    sameNames(read.altNames, leaf.altNames ?? noAltNames)
  );
}

/**
 * The certificate of a leaf, from its files if those are good: right names, right authority, not past two thirds of its
 * life. The key is kept when only the certificate is replaced. The file holds the authority's certificate too.
 */
export async function ensureLeaf(dir: string, leaf: Leaf, authority: KeyPair, now: number): Promise<KeyPair> {
  const keyPath = join(dir, `${leaf.name}.key`);
  const certPath = join(dir, `${leaf.name}.crt`);
  const [keyText, certText] = await Promise.all([readText(keyPath), readText(certPath)]);
  const key = keyText === undefined ? newKey() : readableKey(keyText);
  const keyPem = pemOf(key);
  if (certText !== undefined && stillGood(certText, key, leaf, authority, now))
    return { certPem: certText, keyPem, certPath, keyPath, renewAt: renewalTime(certText), issued: false };
  const cert = issueCertificate(
    {
      subject: { commonName: leaf.commonName, organizations: leaf.organizations ?? [] },
      publicKey: createPublicKey(key),
      notBefore: new Date(now - backdateMs),
      notAfter: new Date(Math.min(now + leafLifeMs, Date.parse(new X509Certificate(authority.certPem).validTo))),
      keyUsages: ['digital signature', 'key encipherment'],
      extendedUsages: leaf.usages,
      ...(leaf.altNames === undefined ? {} : { altNames: leaf.altNames }),
    },
    { key: createPrivateKey(authority.keyPem), certPem: authority.certPem },
  );
  const certPem = cert + authority.certPem;
  if (keyText !== keyPem) await writeAtomically(keyPath, keyPem);
  await writeAtomically(certPath, certPem);
  return { certPem, keyPem, certPath, keyPath, renewAt: renewalTime(certPem), issued: true };
}

/** A leaf's key file that a crash or an editor spoilt is replaced: nothing but the leaf depends on it. */
function readableKey(text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    return newKey();
  }
}
