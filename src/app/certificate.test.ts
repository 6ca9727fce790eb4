import { createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ensurePki } from '#pki/pki.ts';
import { keyIdOf } from '#pki/service-account-keys.ts';
import { certificatesIn, rotateCertificates } from './certificate.ts';

const dir = mkdtempSync(join(tmpdir(), 'certificate-'));
afterAll(() => rmSync(dir, { recursive: true }));
const now = Date.now();
const make = () => ensurePki(join(dir, 'server'), { names: ['10.0.0.1'], serviceIps: [], now });
/** A port on which nothing listens. */
const sources = {
  commandLine: new Map<string, unknown>([
    ['data-dir', dir],
    ['https-listen-port', '1'],
  ]),
  env: { K3TS_CONFIG_FILE: '' },
};

test('every certificate is shown with its end', async () => {
  await make();
  writeFileSync(join(dir, 'server/tls/odd.crt'), 'no certificate');
  const rows = certificatesIn(join(dir, 'server/tls'), now);
  expect(rows.map((r) => r.file.split('/').at(-1))).toContain('serving-kube-apiserver.crt');
  expect(rows.find((r) => r.file.endsWith('client-admin.crt'))).toMatchObject({
    subject: 'O=system:masters,CN=system:admin',
    status: 'OK',
  });
  const later = certificatesIn(join(dir, 'server/tls'), now + 300 * 24 * 3600 * 1000);
  expect(later.find((r) => r.file.endsWith('client-admin.crt'))?.status).toBe('WARNING');
  expect(certificatesIn(join(dir, 'server/tls'), now + 11 * 365 * 24 * 3600 * 1000).every((r) => r.status === 'EXPIRED')).toBe(true);
});

test('rotating makes new certificates with new keys, and leaves the authorities alone', async () => {
  const before = await make();
  await rotateCertificates(['admin', 'api-server'], sources);
  const after = await make();
  expect(after.serverCa.certPem).toBe(before.serverCa.certPem);
  expect(after.admin.keyPem).not.toBe(before.admin.keyPem);
  expect(after.serving.certPem).not.toBe(before.serving.certPem);
  expect(after.supervisor.certPem).toBe(before.supervisor.certPem);
  await expect(rotateCertificates(['etcd'], sources)).rejects.toThrow('"etcd" is not a service');
});

test('rotating the keys of service accounts keeps those before verifying', async () => {
  const before = await make();
  await rotateCertificates(['service-account'], sources);
  const { serviceAccountKeys: keys } = await make();
  expect(keyIdOf(keys.signing)).not.toBe(keyIdOf(before.serviceAccountKeys.signing));
  expect(keys.verifying.map(keyIdOf)).toEqual([keyIdOf(keys.signing), keyIdOf(createPublicKey(before.serviceAccountKeys.signing))]);
});
