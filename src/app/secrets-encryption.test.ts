import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { ApiRequest, ApiResponse } from '#apiserver/contract.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { Store } from '#store/contract.ts';
import { createMemoryStore } from '#store/drivers/memory/memory-store.ts';
import { openStore } from '#store/drivers/sqlite/fixture.ts';
import { type EncryptionOptions, openSecretsEncryption, type SecretsEncryption } from './secrets-encryption.ts';

const root = mkdtempSync(join(tmpdir(), 'encrypt-'));
afterAll(() => rmSync(root, { recursive: true }));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString('utf8');
const key = '/registry/core/secrets/ns/a';

interface Words {
  readonly force?: boolean;
  readonly skip?: boolean;
}

async function ask(encryption: SecretsEncryption, action?: string, words: Words = {}): Promise<unknown> {
  const path = action === undefined ? '/v1-k3ts/encrypt/status' : '/v1-k3ts/encrypt/config';
  const route = encryption.routes.find((r) => r.path === path);
  const body = action === undefined ? undefined : Buffer.from(JSON.stringify({ action, ...words }));
  const answer: ApiResponse | undefined = await route?.handle({ body, signal: new AbortController().signal } as ApiRequest);
  return answer?.type === 'bytes' ? (JSON.parse(String(answer.body)) as unknown) : undefined;
}

function setUp(bare: Store = createMemoryStore()) {
  const folder = mkdtempSync(join(root, 'cred-'));
  const clock = fakeClock();
  const open = (more: Partial<EncryptionOptions> = {}) => openSecretsEncryption(bare, { folder, ...more }, { clock, log: memoryLogger() });
  const stored = async (): Promise<string> => text((await bare.get(key))?.value);
  return { bare, folder, clock, open, stored };
}

test('secrets are encrypted, rotated and decrypted while running, and the keys survive a restart', async () => {
  const { folder, clock, open, stored } = setUp();
  const first = await open();
  await first.store.create(key, bytes('{"a":1}'));
  expect(await ask(first)).toEqual({ enabled: false, stage: 'start', keys: [] });
  await expect(ask(first, 'rotate-keys')).rejects.toMatchObject({ code: 400 });
  expect(await ask(first, 'enable')).toMatchObject({ enabled: true, stage: 'start', keys: [{ provider: 'aescbc' }] });
  expect(statSync(join(folder, 'encryption-config.json')).mode & 0o777).toBe(0o600);
  const sealed = await stored();
  expect(sealed).toMatch(/^k8s:enc:aescbc:v1:/);

  const second = await open();
  expect(text((await second.store.get(key))?.value)).toBe('{"a":1}');
  await clock.advance(1000);
  expect(await ask(second, 'rotate-keys')).toMatchObject({ enabled: true, stage: 'reencrypt_finished', keys: [expect.anything()] });
  expect((await stored()).slice(0, 50)).not.toBe(sealed.slice(0, 50));
  expect(await ask(second, 'disable')).toMatchObject({ enabled: false, stage: 'start' });
  expect(await stored()).toBe('{"a":1}');
});

test("K3s' three steps: prepare, rotate, reencrypt, each at its stage only", async () => {
  const { clock, open, stored } = setUp();
  const encryption = await open();
  await encryption.store.create(key, bytes('{}'));
  await ask(encryption, 'enable');
  await clock.advance(1000);
  await expect(ask(encryption, 'rotate')).rejects.toMatchObject({ message: 'incorrect stage: start found' });
  await expect(ask(encryption, 'reencrypt')).rejects.toMatchObject({ message: 'incorrect stage: start found' });
  const before = await stored();
  const prepared = (await ask(encryption, 'prepare')) as { activeKey: string; keys: { name: string }[] };
  expect(prepared).toMatchObject({ stage: 'prepare', keys: [{ name: prepared.activeKey }, {}] });
  await expect(ask(encryption, 'rotate-keys')).rejects.toMatchObject({ message: 'incorrect stage: prepare found' });
  expect(await ask(encryption, 'rotate')).toMatchObject({ stage: 'rotate', activeKey: prepared.keys[1]?.name });
  expect(await stored()).toBe(before);
  expect(await ask(encryption, 'reencrypt', { skip: true })).toMatchObject({ stage: 'reencrypt_finished', keys: [{}, {}] });
  expect(await stored()).toContain(`k8s:enc:aescbc:v1:${prepared.keys[1]?.name}:`);
  expect(await ask(encryption, 'reencrypt', { force: true })).toMatchObject({ stage: 'reencrypt_finished', keys: [{}] });
});

test('the flag makes keys at the first start only, and encrypts what is there already', async () => {
  const { open, stored } = setUp();
  const before = await open();
  await before.store.create(key, bytes('{}'));
  const encryption = await open({ provider: 'secretbox' });
  encryption.start();
  await expect.poll(async () => await ask(encryption)).toMatchObject({ enabled: true, stage: 'start', keys: [{ provider: 'secretbox' }] });
  expect(await stored()).toMatch(/^k8s:enc:secretbox:v1:/);
  await ask(encryption, 'disable');
  expect(await ask(await open({ provider: 'secretbox' }))).toMatchObject({ enabled: false });
});

test('what the administrator configured is not changed, but may be used for all secrets', async () => {
  const secret = Buffer.alloc(32, 1);
  const write = { provider: 'aesgcm' as const, name: 'own', secret };
  const { folder, open, stored } = setUp();
  const plain = await open();
  await plain.store.create(key, bytes('{}'));
  const fixed = await open({ fixed: [{ prefixes: ['/registry/core/secrets/'], write, read: [write] }] });
  await expect(ask(fixed, 'enable')).rejects.toMatchObject({ message: expect.stringContaining('encryption-provider-config') });
  await expect(ask(fixed, 'explode')).rejects.toMatchObject({ code: 400 });
  expect(await ask(fixed, 'reencrypt')).toMatchObject({ enabled: true, stage: 'reencrypt_finished' });
  expect(await stored()).toMatch(/^k8s:enc:aesgcm:v1:own:/);
  expect(readdirSync(folder)).not.toContain('encryption-config.json');
});

describe('a rewriting that is cut short', () => {
  /** A store whose writes fail from the nth on, as if the process had been killed. */
  const failing = (bare: Store, after: number): Store => {
    let writes = 0;
    return { ...bare, update: (...args) => (writes++ < after ? bare.update(...args) : Promise.reject(new Error('killed'))) };
  };
  test('leaves every secret readable, and goes on at the next start', async () => {
    const bare = createMemoryStore();
    const { folder, clock, open } = setUp(bare);
    const first = await open();
    for (let i = 0; i < 250; i++) await first.store.create(`${key}${i}`, bytes(`{"i":${i}}`));
    await ask(first, 'enable');
    await clock.advance(1000);
    const deps = { clock, log: memoryLogger() };
    const dying = await openSecretsEncryption(failing(bare, 120), { folder }, deps);
    expect(await ask(dying, 'rotate-keys')).toMatchObject({ stage: 'reencrypt_active', problem: 'killed', keys: [{}, {}] });
    const names = async (): Promise<Set<string>> =>
      new Set((await bare.list('/registry/')).entries.map((e) => text(e.value).split(':').slice(0, 5).join(':')));
    expect((await names()).size).toBe(2);

    const again = await open();
    const all = (await again.store.list('/registry/')).entries.map((e) => text(e.value));
    expect(all.sort()).toEqual(Array.from({ length: 250 }, (_, i) => `{"i":${i}}`).sort());
    again.start();
    await expect.poll(async () => await ask(again)).toMatchObject({ stage: 'reencrypt_finished', keys: [{}] });
    expect((await names()).size).toBe(1);
  });
});

test('after encryption nothing of the plain secret is left in the files of the database: not in free pages, not in the log', async () => {
  const folder = mkdtempSync(join(root, 'db-'));
  const store = await openStore(join(folder, 'state.db'));
  const { open } = setUp(store);
  const encryption = await open();
  const secret = (what: string): Uint8Array => bytes(`{"data":"${what.repeat(300)}"}`);
  const files = (): string =>
    readdirSync(folder)
      .map((f) => readFileSync(join(folder, f), 'latin1'))
      .join('');
  const removed = await encryption.store.create(`${key}-removed`, secret('kaputt'));
  await encryption.store.delete(`${key}-removed`, removed.revision);
  let current = await encryption.store.create(key, secret('alt'));
  current = await encryption.store.update(key, secret('streng-geheim'), current.revision);
  for (let i = 0; i < 50; i++) await encryption.store.create(`${key}${i}`, secret('streng-geheim'));
  expect(files()).toContain('streng-geheim');
  await ask(encryption, 'enable');
  const left = files();
  for (const plain of ['streng-geheim', 'altalt', 'kaputt']) expect(left).not.toContain(plain);
  expect(left).toContain('k8s:enc:aescbc:v1:');
  expect(text((await encryption.store.get(key))?.value)).toContain('streng-geheim');
  await store.close();
  expect(files()).not.toContain('streng-geheim');
});
