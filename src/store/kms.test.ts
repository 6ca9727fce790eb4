import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { createMemoryStore } from './drivers/memory/memory-store.ts';
import { createEncryptedStore, type EncryptionPolicy } from './encryption.ts';
import { parseEncryptionConfig } from './encryption-config.ts';
import { createKmsProvider, type KmsProvider } from './kms.ts';
import { createKmsService } from './kms-service.ts';
import { startTestKms } from './kms-testing.ts';
import { createWatchCache } from './watch-cache.ts';

const folder = mkdtempSync(join(tmpdir(), 'kms-'));
afterAll(() => rmSync(folder, { recursive: true }));
let sockets = 0;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString('utf8');
const at = '/registry/core/secrets/ns/a';

async function setUp() {
  const socket = join(folder, `${sockets++}.sock`);
  const kms = await startTestKms(socket);
  const clock = fakeClock();
  const deps = { clock, log: memoryLogger() };
  const open = (): KmsProvider => createKmsProvider({ name: 'mine' }, createKmsService(socket, 3000), deps);
  const storeOf = (provider: KmsProvider) => {
    const policy: EncryptionPolicy = [{ prefixes: ['/registry/core/secrets/'], write: provider, read: [provider] }];
    return createEncryptedStore(inner, () => policy);
  };
  const inner = createMemoryStore();
  return { kms, clock, open, inner, storeOf, [Symbol.asyncDispose]: () => kms[Symbol.asyncDispose]() };
}

test('values are encrypted here, with a seed that only the service can open', async () => {
  await using made = await setUp();
  const { kms, inner, open, storeOf } = made;
  const provider = open();
  expect(await provider.check()).toBeUndefined();
  const store = storeOf(provider);
  const created = await store.create(at, bytes('{"secret":1}'));
  await store.create(`${at}2`, bytes('{"secret":2}'));
  const stored = await inner.get(at);
  expect(text(stored?.value)).toMatch(/^k8s:enc:kms:v2:mine:/);
  expect(text(stored?.value)).not.toContain('secret');
  expect(text((await store.get(at))?.value)).toBe('{"secret":1}');
  // The service is asked for a seed, not for each value.
  expect(kms.calls).toEqual(['Status', 'Encrypt']);

  // After a restart: the seed is not known any more.
  const again = storeOf(open());
  expect((await again.list('/registry/')).entries.map((e) => text(e.value))).toEqual(['{"secret":1}', '{"secret":2}']);
  expect(kms.calls.slice(2)).toEqual(['Decrypt']);
  await expect(again.update(at, bytes('x'), 99)).rejects.toMatchObject({ code: 'io' });
  expect(text((await again.delete(at, created.revision)).value)).toBe('{"secret":1}');
});

test('a watch cache over it serves plain values, also those that were there before', async () => {
  await using made = await setUp();
  const { open, clock, storeOf } = made;
  const provider = open();
  await provider.check();
  await storeOf(provider).create(at, bytes('{"a":1}'));
  const second = open();
  await second.check();
  const cache = await createWatchCache(storeOf(second), {}, { clock, log: memoryLogger() });
  expect(cache.get(at)?.object()).toEqual({ a: 1 });
  await cache.create(`${at}2`, bytes('{"a":2}'));
  expect(cache.get(`${at}2`)?.object()).toEqual({ a: 2 });
  await cache.close();
});

test('a value is good at its own place only, and one that was changed is told as corrupt', async () => {
  await using made = await setUp();
  const { open, inner, storeOf } = made;
  const provider = open();
  await provider.check();
  const store = storeOf(provider);
  await store.create(at, bytes('{"a":1}'));
  const sealed = (await inner.get(at))?.value ?? bytes('');
  await inner.create(`${at}-copied`, sealed);
  await expect(store.get(`${at}-copied`)).rejects.toMatchObject({ code: 'corrupt' });
  await inner.create(`${at}-cut`, sealed.subarray(0, 40));
  await expect(store.get(`${at}-cut`)).rejects.toMatchObject({ code: 'corrupt' });
});

test('when the service has another key, new values are encrypted with it and old ones stay readable', async () => {
  await using made = await setUp();
  const { kms, open, storeOf } = made;
  const provider = open();
  await provider.check();
  const store = storeOf(provider);
  await store.create(at, bytes('{"a":1}'));
  await provider.check();
  expect(kms.calls.filter((c) => c === 'Encrypt')).toHaveLength(1);
  kms.rotate('key-2');
  await provider.check();
  expect(kms.calls.filter((c) => c === 'Encrypt')).toHaveLength(2);
  await store.create(`${at}2`, bytes('{"a":2}'));
  const fresh = storeOf(open());
  expect((await fresh.list('/registry/')).entries.map((e) => text(e.value))).toEqual(['{"a":1}', '{"a":2}']);
});

test('a seed encrypts for three minutes without word from the service, and again when there is word', async () => {
  await using made = await setUp();
  const { kms, clock, open, storeOf } = made;
  const provider = open();
  await provider.check();
  const store = storeOf(provider);
  kms.fail('Status');
  await clock.advance(179_000);
  expect(await provider.check()).toBe('out of order');
  await store.create(at, bytes('{"a":1}'));
  await clock.advance(2000);
  await expect(store.create(`${at}2`, bytes('{"a":2}'))).rejects.toMatchObject({
    code: 'io',
    message: 'kms provider mine: encryptedDEKSource with keyID "key-1" expired: out of order',
  });
  // What is known can be read all the same.
  expect(text((await store.get(at))?.value)).toBe('{"a":1}');
  kms.fail();
  await provider.check();
  await store.create(`${at}2`, bytes('{"a":2}'));
});

test('while it runs the service is asked each minute, and each ten seconds while it is not well', async () => {
  await using made = await setUp();
  const { kms, clock, open } = made;
  const provider = open();
  const stop = new AbortController();
  const running = provider.run(stop.signal);
  const asked = async (times: number): Promise<void> => {
    while (kms.calls.filter((c) => c === 'Status').length < times || clock.waiting() === 0)
      await new Promise((resolve) => setImmediate(resolve));
  };
  await asked(1);
  expect(provider.problem()).toBeUndefined();
  kms.say({ healthz: 'tired' });
  await clock.advance(60_000);
  await asked(2);
  expect(provider.problem()).toBe('got unexpected healthz status: tired');
  kms.say({ healthz: 'ok' });
  await clock.advance(10_000);
  await asked(3);
  expect(provider.problem()).toBeUndefined();
  stop.abort();
  await running;
});

describe('a service', () => {
  test.each<[string, (kms: Awaited<ReturnType<typeof startTestKms>>) => void, string]>([
    ['of another version', (kms) => kms.say({ version: 'v1beta1' }), 'expected KMSv2 API version v2, got v1beta1'],
    ['without a key', (kms) => kms.rotate(''), 'got invalid KMSv2 KeyID "": keyID is empty'],
    ['with a key of too long a name', (kms) => kms.rotate('x'.repeat(1025)), 'keyID is 1025 bytes, max size is 1024'],
    ['that cannot encrypt', (kms) => kms.fail('Encrypt'), 'out of order'],
  ])('%s cannot be relied on', async (_what, spoil, problem) => {
    await using made = await setUp();
    const { kms, open } = made;
    spoil(kms);
    const provider = open();
    expect(await provider.check()).toContain(problem);
    expect(() => provider.seal(bytes('x'), at)).toThrow(problem);
  });

  test('that is not there is told', async () => {
    const provider = createKmsProvider({ name: 'gone' }, createKmsService(join(folder, 'none.sock'), 500), {
      clock: fakeClock(),
      log: memoryLogger(),
    });
    expect(await provider.check()).toContain('none.sock');
    await using made = await setUp();
    const { kms, open, storeOf } = made;
    const known = open();
    await known.check();
    await storeOf(known).create(at, bytes('{}'));
    kms.fail('Decrypt');
    await expect(storeOf(open()).get(at)).rejects.toMatchObject({ code: 'io', message: 'failed to decrypt DEK, error: out of order' });
  });
});

describe('configuration', () => {
  const config = (...providers: object[]): string =>
    JSON.stringify({
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'EncryptionConfiguration',
      resources: [{ resources: ['secrets'], providers }],
    });
  const kms = (more: object): object => ({ kms: { apiVersion: 'v2', name: 'mine', endpoint: 'unix:///run/kms.sock', ...more } });
  test('says where the service is', () => {
    const specs: unknown[] = [];
    const policy = parseEncryptionConfig(config(kms({ timeout: '5s' }), { identity: {} }), (spec) => {
      specs.push(spec);
      return createKmsProvider(spec, createKmsService(spec.socketPath, spec.timeoutMs), { clock: fakeClock(), log: memoryLogger() });
    });
    expect(specs).toEqual([{ name: 'mine', socketPath: '/run/kms.sock', timeoutMs: 5000 }]);
    expect(policy[0]?.write?.provider).toBe('kms');
  });
  test.each([
    [[kms({ apiVersion: 'v1' })], 'KMSv1 is deprecated'],
    [[kms({ apiVersion: 'v3' })], 'unsupported apiVersion "v3", must be v2'],
    [[kms({ name: '' })], 'name: Required value'],
    [[kms({ name: 'a:b' })], "should not contain ':'"],
    [[kms({ endpoint: 'tcp://127.0.0.1:1' })], 'unsupported scheme "tcp" for KMS provider'],
    [[kms({ timeout: '0s' })], 'timeout should be a positive value'],
    [[kms({}), kms({})], 'duplicate KMS provider name, names must be unique'],
  ])('%j is refused', (providers, message) => {
    expect(() => parseEncryptionConfig(config(...providers))).toThrow(message);
  });
});
