import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { kubeconfigText } from './kubeconfig.ts';
import { ensurePki, keepPki, type Pki } from './pki.ts';
import { ensureServiceAccountKeys, keyIdOf, rotateServiceAccountKey } from './service-account-keys.ts';

const day = 24 * 3600 * 1000;
const start = Date.UTC(2026, 0, 1);
const options = { names: ['10.0.0.5', 'k3ts.example'], serviceIps: ['10.43.0.1'], now: start };
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pki-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a cold start makes authorities and certificates that verify, in files of mode 0600', async () => {
  const pki = await ensurePki(dir, options);
  const serving = new X509Certificate(pki.serving.certPem);
  expect(serving.verify(new X509Certificate(pki.serverCa.certPem).publicKey)).toBe(true);
  for (const name of ['kubernetes.default.svc.cluster.local', 'localhost', 'k3ts.example']) expect(serving.checkHost(name)).toBe(name);
  for (const ip of ['127.0.0.1', '::1', '10.0.0.5', '10.43.0.1']) expect(serving.checkIP(ip)).toBe(ip);
  const admin = new X509Certificate(pki.admin.certPem);
  expect(admin.subject).toBe('O=system:masters\nCN=system:admin');
  expect(admin.verify(new X509Certificate(pki.clientCa.certPem).publicKey)).toBe(true);
  for (const path of [
    pki.serving.keyPath,
    pki.clientCa.keyPath,
    join(dir, 'token'),
    join(dir, 'node-token'),
    join(pki.tlsDir, 'service.key'),
  ])
    expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a warm start issues nothing and keeps the tokens', async () => {
  const first = await ensurePki(dir, options);
  const second = await ensurePki(dir, { ...options, now: start + 100 * day });
  expect(second.issued).toEqual([]);
  expect(second.serving.certPem).toBe(first.serving.certPem);
  expect(second.tokens).toEqual(first.tokens);
  expect(keyIdOf(second.serviceAccountKeys.signing)).toBe(keyIdOf(first.serviceAccountKeys.signing));
});

test('a changed address re-issues the serving certificate only, over the same key', async () => {
  const first = await ensurePki(dir, options);
  const second = await ensurePki(dir, { ...options, names: ['10.0.0.6'] });
  expect(second.issued).toEqual(['serving']);
  expect(second.serving.keyPem).toBe(first.serving.keyPem);
  expect(new X509Certificate(second.serving.certPem).checkIP('10.0.0.6')).toBe('10.0.0.6');
});

test('leaves are renewed at two thirds of their life, authorities too and over the same key', async () => {
  const first = await ensurePki(dir, options);
  const year = await ensurePki(dir, { ...options, now: start + 244 * day });
  expect(year.issued).toEqual(['serving', 'admin', 'supervisor', 'authProxy']);
  const late = await ensurePki(dir, { ...options, now: start + 2440 * day });
  expect(late.issued).toContain('serverCa');
  const oldAdmin = new X509Certificate(first.admin.certPem);
  expect(oldAdmin.verify(new X509Certificate(late.clientCa.certPem).publicKey)).toBe(true);
  expect(oldAdmin.checkIssued(new X509Certificate(late.clientCa.certPem))).toBe(true);
});

test('while running, certificates are renewed when due and handed over', async () => {
  const clock = fakeClock(start + 243 * day);
  await ensurePki(dir, options);
  const stop = new AbortController();
  const renewed = Promise.withResolvers<Pki>();
  const loop = keepPki(dir, () => options, renewed.resolve, { clock, log: memoryLogger() }, stop.signal);
  let done: Pki | undefined;
  void renewed.promise.then((p) => {
    done = p;
  });
  while (done === undefined) {
    // The loop reads and writes real files: time moves only while it sleeps.
    if (clock.waiting() > 0) await clock.advance(day / 4);
    else await new Promise((resolve) => setImmediate(resolve));
  }
  expect(done.issued).toContain('serving');
  expect(clock.now() - start).toBeGreaterThan(243.3 * day);
  stop.abort(new Error('done'));
  await loop;
});

test('a damaged leaf is replaced; a damaged authority is an error and stays as it is', async () => {
  const pki = await ensurePki(dir, options);
  writeFileSync(pki.admin.certPath, '');
  writeFileSync(pki.supervisor.keyPath, 'rubbish');
  expect((await ensurePki(dir, options)).issued).toEqual(['admin', 'supervisor']);
  writeFileSync(pki.clientCa.certPath, pki.serverCa.certPem);
  await expect(ensurePki(dir, options)).rejects.toThrow('do not belong together');
  expect(readFileSync(pki.clientCa.keyPath, 'utf8')).toBe(pki.clientCa.keyPem);
});

test('a given token is kept, short or full; one of another cluster is refused', async () => {
  const pki = await ensurePki(dir, { ...options, token: 'secret', agentToken: 'agents-only' });
  expect(pki.tokens.nodeToken).toMatch(/^K10[0-9a-f]{64}::node:agents-only$/);
  expect((await ensurePki(dir, { ...options, token: pki.tokens.serverToken })).tokens.serverPassword).toBe('secret');
  await expect(ensurePki(dir, { ...options, token: `K10${'0'.repeat(64)}::server:secret` })).rejects.toThrow('another cluster');
});

test('after a rotation the old service-account key still verifies', async () => {
  const old = await ensureServiceAccountKeys(dir);
  const next = await rotateServiceAccountKey(dir);
  const read = await ensureServiceAccountKeys(dir);
  expect(keyIdOf(read.signing)).toBe(keyIdOf(next.signing));
  expect(read.verifying.map(keyIdOf)).toEqual([keyIdOf(next.signing), keyIdOf(createPublicKey(old.signing))]);
});

test('the kubeconfig is YAML that names the server and carries the certificates', async () => {
  const pki = await ensurePki(dir, options);
  const config: unknown = parse(
    kubeconfigText({ server: 'https://127.0.0.1:6443', caPem: pki.serverCa.certPem, certPem: pki.admin.certPem, keyPem: pki.admin.keyPem }),
  );
  expect(config).toMatchObject({
    'current-context': 'default',
    clusters: [
      { cluster: { server: 'https://127.0.0.1:6443', 'certificate-authority-data': Buffer.from(pki.serverCa.certPem).toString('base64') } },
    ],
  });
});
