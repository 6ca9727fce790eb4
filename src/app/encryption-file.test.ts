import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, expect, test, vi } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { EncryptionPolicy } from '#store/encryption.ts';
import { startTestKms } from '#store/kms-testing.ts';
import { openFileEncryption } from './encryption-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'encryption-file-'));
afterAll(() => rmSync(folder, { recursive: true }));

const config = (...providers: object[]): string =>
  JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [{ resources: ['secrets'], providers }],
  });
const kms = (name: string, socket: string): object => ({ kms: { apiVersion: 'v2', name, endpoint: `unix://${socket}`, timeout: '500ms' } });
const providerOf = (policy: EncryptionPolicy | undefined): string | undefined => policy?.[0]?.write?.name;

async function setUp(name: string, reload: boolean) {
  const socket = join(folder, `${name}.sock`);
  const service = await startTestKms(socket);
  const path = join(folder, `${name}.json`);
  const text = config(kms('first', socket));
  writeFileSync(path, text);
  const clock = fakeClock();
  const log = memoryLogger();
  const opened = await openFileEncryption({ path, text, reload }, { clock, log });
  return { socket, service, path, clock, log, opened };
}

test('each key service has a health check of its own', async () => {
  const { service, opened } = await setUp('checks', false);
  expect(providerOf(opened.policy)).toBe('first');
  expect(opened.checks().map((c) => [c.name, c.problem(), c.live])).toEqual([['kms-provider-0', undefined, true]]);
  await service[Symbol.asyncDispose]();
});

test('a service that is not there is told by its check, and does not keep the server from starting', async () => {
  const opened = await openFileEncryption(
    { path: '/x', text: config(kms('gone', join(folder, 'none.sock')), { identity: {} }), reload: false },
    { clock: fakeClock(), log: memoryLogger() },
  );
  expect(await opened.checks()[0]?.problem()).toContain('none.sock');
});

test('a changed file counts where that is wanted, and only if its key services can be relied on', async () => {
  const { socket, service, path, log, opened } = await setUp('reload', true);
  expect(opened.checks().map((c) => c.name)).toEqual(['kms-providers']);
  const used: EncryptionPolicy[] = [];
  const stop = new AbortController();
  const metrics = new Registry();
  const running = opened.task((policy) => used.push(policy), metrics)(stop.signal);
  writeFileSync(path, config(kms('unreachable', join(folder, 'none.sock'))));
  await vi.waitUntil(() => log.lines.some((line) => line.includes('cannot be used')), 10_000);
  writeFileSync(path, 'rubbish');
  await vi.waitUntil(() => log.lines.filter((line) => line.includes('cannot be used')).length === 2, 10_000);
  expect(used).toEqual([]);
  writeFileSync(path, config(kms('second', socket), kms('first', socket)));
  await vi.waitUntil(() => used.length === 1, 10_000);
  expect(providerOf(used[0])).toBe('second');
  expect(await opened.checks()[0]?.problem()).toBeUndefined();
  const counted = await metrics.getSingleMetric('apiserver_encryption_config_controller_automatic_reloads_total')?.get();
  expect(counted?.values.map((v) => [v.labels['status'], v.value])).toEqual([
    ['failure', 2],
    ['success', 1],
  ]);
  stop.abort();
  await running;
  await service[Symbol.asyncDispose]();
});
