import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { pemBlocks } from './pem.ts';
import { createRequest, firstCertificate, issueCertificate, noAltNames, readCertificate, readRequest } from './x509.ts';

const notBefore = new Date('2026-01-01T00:00:00Z');
const notAfter = new Date('2056-01-01T00:00:00Z');
interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}
const ec = (): Keys => generateKeyPairSync('ec', { namedCurve: 'P-256' });

function authority(keys = ec()) {
  const certPem = issueCertificate(
    {
      subject: { commonName: 'ca@1', organizations: [] },
      publicKey: keys.publicKey,
      notBefore,
      notAfter,
      ca: true,
      keyUsages: ['cert sign'],
    },
    { key: keys.privateKey },
  );
  return { certPem, key: keys.privateKey };
}

test('a certificate is readable by OpenSSL, with names, usages and validity', () => {
  const ca = authority();
  const leaf = issueCertificate(
    {
      subject: { commonName: 'system:node:a', organizations: ['system:nodes', 'zweite Gruppe é'] },
      publicKey: ec().publicKey,
      notBefore,
      notAfter,
      keyUsages: ['digital signature', 'key encipherment'],
      extendedUsages: ['client auth', 'server auth'],
      altNames: { ...noAltNames, dns: ['a', 'b.c'], ip: ['10.0.0.1', 'fd00::1'] },
    },
    ca,
  );
  const cert = new X509Certificate(leaf);
  const issuer = new X509Certificate(ca.certPem);
  expect(cert.verify(issuer.publicKey)).toBe(true);
  expect(cert.checkIssued(issuer)).toBe(true);
  expect(issuer.ca).toBe(true);
  expect(cert.ca).toBe(false);
  expect(cert.subjectAltName).toBe('DNS:a, DNS:b.c, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1');
  expect(cert.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1']);
  expect(new Date(cert.validTo)).toEqual(notAfter);
  const read = readCertificate(firstCertificate(leaf));
  expect(read.subject).toEqual({ commonName: 'system:node:a', organizations: ['system:nodes', 'zweite Gruppe é'], others: [] });
  expect(read.altNames.ip).toEqual(['10.0.0.1', 'fd00::1']);
});

test.each<[string, () => Keys]>([
  ['ec P-256', () => ec()],
  ['ec P-384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
  ['rsa', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ['ed25519', () => generateKeyPairSync('ed25519')],
])('a request with an %s key is written and read back, and its key signs certificates', (_name, make) => {
  const keys = make();
  const pem = createRequest(keys.privateKey, { commonName: 'x', organizations: ['o'] }, { ...noAltNames, dns: ['n'] });
  const request = readRequest(pem);
  expect(request.subject).toMatchObject({ commonName: 'x', organizations: ['o'] });
  expect(request.altNames.dns).toEqual(['n']);
  const ca = new X509Certificate(authority(keys).certPem);
  expect(ca.verify(createPublicKey(keys.privateKey))).toBe(true);
});

test('a request with a changed name is refused', () => {
  const der = Buffer.from(pemBlocks(createRequest(ec().privateKey, { commonName: 'alice', organizations: [] }))[0]?.der ?? []);
  der.write('malice'.slice(1), der.indexOf('alice'));
  expect(readRequest(der).subject.commonName).toBe('alice');
  der.write('mllory'.slice(1), der.indexOf('alice'));
  expect(() => readRequest(der)).toThrow('signature does not match');
});

test.each([
  ['', 'PEM block'],
  ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', 'PEM block'],
  ['-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----', 'truncated'],
])('what is no request is refused: %j', (text, message) => {
  expect(() => readRequest(text)).toThrow(message);
});
