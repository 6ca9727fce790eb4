import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { newKey } from './certificates.ts';
import { ensurePki, type Pki } from './pki.ts';
import { keyIdOf } from './service-account-keys.ts';
import { readNewAuthorities, stageAuthorities, useStagedAuthorities } from './staged-authorities.ts';
import { testAuthority } from './testing.ts';

let dir = '';
let pki: Pki;
const start = (): Promise<Pki> => ensurePki(dir, { names: ['10.0.0.1'], serviceIps: [], now: Date.now() });
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'authorities-'));
  pki = await start();
  mkdirSync(join(dir, 'new'));
});
afterEach(() => rmSync(dir, { recursive: true }));

type Files = Readonly<Record<string, string>>;
const read = (files: Files) => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, 'new', name), text);
  return readNewAuthorities(pki.tlsDir, join(dir, 'new'), Date.now());
};
const oldCa = () => ({ certPem: pki.serverCa.certPem, key: createPrivateKey(pki.serverCa.keyPem) });
const sec1 = (key = newKey()): string => key.export({ type: 'sec1', format: 'pem' }).toString();
const pem = (key: ReturnType<typeof createPublicKey>): string => key.export({ type: 'spki', format: 'pem' }).toString();

/** A new authority that whoever trusts the old one trusts too. */
function crossSigned(): Files {
  const key = newKey();
  const root = testAuthority('new', undefined, key);
  const below = testAuthority('new', oldCa(), key);
  return { 'server-ca.crt': below.certPem + root.certPem + pki.serverCa.certPem, 'server-ca.key': root.keyPem };
}

test('an authority signed by the old one is in use after the next start, and both are trusted', async () => {
  const { files, objections } = await read(crossSigned());
  expect(objections).toEqual([]);
  await stageAuthorities(dir, files);
  expect((await start()).serverCa.certPem).toBe(pki.serverCa.certPem);
  expect([...(await useStagedAuthorities(dir))].sort()).toEqual(['server-ca.crt', 'server-ca.key']);
  const next = await start();
  expect(next.issued).toEqual(['serving']);
  const serving = new X509Certificate(next.serving.certPem);
  const [below = ''] = next.serverCa.certPem.split(/(?<=-----END CERTIFICATE-----\n)/);
  expect(serving.verify(new X509Certificate(below).publicKey)).toBe(true);
  expect(new X509Certificate(below).verify(createPublicKey(oldCa().key))).toBe(true);
  expect(statSync(next.serverCa.keyPath).mode & 0o777).toBe(0o600);
  expect(next.clientCa.certPem).toBe(pki.clientCa.certPem);
  expect(await useStagedAuthorities(dir)).toEqual([]);
});

test('a start that was interrupted while files were put in place goes on with the rest', async () => {
  const { files } = await read(crossSigned());
  await stageAuthorities(dir, files);
  const staged = join(dir, 'tls-staged');
  writeFileSync(join(pki.tlsDir, 'server-ca.crt'), readFileSync(join(staged, 'server-ca.crt')));
  rmSync(join(staged, 'server-ca.crt'));
  await useStagedAuthorities(dir);
  expect((await start()).issued).toEqual(['serving']);
});

test('what is staged anew takes the place of what was staged before', async () => {
  await stageAuthorities(dir, new Map([['client-ca.crt', 'x']]));
  await stageAuthorities(dir, new Map([['server-ca.crt', 'y']]));
  expect(readdirSync(join(dir, 'tls-staged'))).toEqual(['server-ca.crt']);
});

test.each<[string, () => Files, string]>([
  [
    'a single certificate',
    () => {
      const { certPem, keyPem } = testAuthority('new');
      return { 'server-ca.crt': certPem, 'server-ca.key': keyPem };
    },
    'server-ca.crt: new CA certificate chain contains only a single certificate',
  ],
  [
    'a chain that leads to a root of its own only',
    () => {
      const root = testAuthority('root');
      const below = testAuthority('below', root);
      return { 'client-ca.crt': below.certPem + root.certPem, 'client-ca.key': below.keyPem };
    },
    'client-ca.crt: new CA cert cannot be verified using old CA chain',
  ],
  [
    'a key that signs service accounts without the old one',
    () => ({ 'service.key': sec1() }),
    'service.key: old ServiceAccount signing key',
  ],
])('%s is objected to', async (_what, files, objection) => {
  expect((await read(files())).objections).toEqual([expect.stringContaining(objection)]);
});

test.each<[string, () => Files, string]>([
  ['nothing', () => ({}), 'there is none of server-ca.crt'],
  ['a certificate without its key', () => ({ 'server-ca.crt': testAuthority('x').certPem }), 'there must be both'],
  ['a key of another', () => ({ ...crossSigned(), 'server-ca.key': testAuthority('x').keyPem }), 'the key is not that of the certificate'],
  ['no certificate', () => ({ 'server-ca.crt': 'x', 'server-ca.key': sec1() }), 'there is no certificate in the file'],
  [
    'a certificate of no authority',
    () => ({ 'server-ca.crt': pki.serving.certPem, 'server-ca.key': pki.serving.keyPem }),
    'the certificate is not that of an authority',
  ],
  ['rubbish for a key', () => ({ 'service.key': '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n' }), 'service.key: '],
])('%s is refused, whoever insists', async (_what, files, why) => {
  await expect(read(files())).rejects.toThrow(why);
});

test('a new key of service accounts signs, and the old one verifies', async () => {
  const signing = newKey();
  const { files, objections } = await read({ 'service.key': sec1(signing) + pem(createPublicKey(pki.serviceAccountKeys.signing)) });
  expect(objections).toEqual([]);
  await stageAuthorities(dir, files);
  await useStagedAuthorities(dir);
  const { serviceAccountKeys } = await start();
  expect(serviceAccountKeys.verifying.map(keyIdOf)).toEqual([keyIdOf(signing), keyIdOf(pki.serviceAccountKeys.signing)]);
  expect(keyIdOf(serviceAccountKeys.signing)).toBe(keyIdOf(signing));
});
