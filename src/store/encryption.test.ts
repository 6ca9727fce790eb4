import { describe, expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { createMemoryStore } from './drivers/memory/memory-store.ts';
import { createEncryptedStore, type EncryptionPolicy, rewriteEncrypted } from './encryption.ts';
import { encryptionConfigText, newEncryptionKey, parseEncryptionConfig, rotatedKeys } from './encryption-config.ts';
import { createWatchCache } from './watch-cache.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString('utf8');
const signal = new AbortController().signal;
const secrets = ['/registry/core/secrets/'];
const key = (provider: 'aescbc' | 'aesgcm', name = 'k1', fill = 1) => ({ provider, name, secret: Buffer.alloc(32, fill) });
const at = '/registry/core/secrets/ns/a';
const now = new Date('2026-01-01T00:00:00Z');

function setUp(policy: EncryptionPolicy) {
  const inner = createMemoryStore();
  let current = policy;
  return {
    inner,
    store: createEncryptedStore(inner, () => current),
    use: (next: EncryptionPolicy) => {
      current = next;
    },
  };
}

describe.each(['aescbc', 'aesgcm'] as const)('%s', (provider) => {
  const policy: EncryptionPolicy = { prefixes: secrets, write: key(provider), read: [key(provider)] };

  test('values are encrypted below and plain above, in every way of reading', async () => {
    const { inner, store } = setUp(policy);
    const created = await store.create(at, bytes('{"secret":1}'));
    expect(text(created.value)).toBe('{"secret":1}');
    expect(text((await inner.get(at))?.value)).toMatch(new RegExp(`^k8s:enc:${provider}:v1:k1:`));
    expect(text((await inner.get(at))?.value)).not.toContain('secret');
    expect(text((await store.get(at))?.value)).toBe('{"secret":1}');
    expect((await store.list('/registry/')).entries.map((e) => text(e.value))).toEqual(['{"secret":1}']);
    await expect(store.update(at, bytes('x'), 99)).rejects.toMatchObject({
      code: 'conflict',
      current: { value: Buffer.from('{"secret":1}') },
    });
    expect(text((await store.delete(at, created.revision)).value)).toBe('{"secret":1}');
  });
  test('other keys are not touched', async () => {
    const { inner, store } = setUp(policy);
    await store.create('/registry/core/configmaps/ns/a', bytes('{}'));
    expect(text((await inner.get('/registry/core/configmaps/ns/a'))?.value)).toBe('{}');
  });
  test('a watch cache over it serves plain values, also those that were there before', async () => {
    const { inner, store } = setUp(policy);
    await store.create(at, bytes('{"a":1}'));
    const cache = await createWatchCache(
      createEncryptedStore(inner, () => policy),
      {},
      { clock: fakeClock(), log: memoryLogger() },
    );
    expect(cache.get(at)?.object()).toEqual({ a: 1 });
    await cache.create(`${at}2`, bytes('{"a":2}'));
    expect(cache.get(`${at}2`)?.object()).toEqual({ a: 2 });
    await cache.close();
  });
});

test('after a rotation old values are read, rewriting encrypts them with the new key, and disabling stores them plain', async () => {
  const first = key('aescbc');
  const { inner, store, use } = setUp({ prefixes: secrets, write: undefined, read: [] });
  for (let i = 0; i < 250; i++) await store.create(`${at}${i}`, bytes(`{"i":${i}}`));
  use({ prefixes: secrets, write: first, read: [first] });
  expect(await rewriteEncrypted(store, secrets, signal)).toBe(250);
  expect(text((await inner.get(`${at}7`))?.value)).toContain('k8s:enc:aescbc:v1:k1:');
  const second = key('aesgcm', 'k2', 2);
  use({ prefixes: secrets, write: second, read: [second, first] });
  expect(text((await store.get(`${at}7`))?.value)).toBe('{"i":7}');
  await rewriteEncrypted(store, secrets, signal);
  use({ prefixes: secrets, write: undefined, read: [second] });
  expect(text((await store.get(`${at}7`))?.value)).toBe('{"i":7}');
  await rewriteEncrypted(store, secrets, signal);
  expect(text((await inner.get(`${at}7`))?.value)).toBe('{"i":7}');
});

test('a value whose key is unknown or that was moved from another key is an error, not rubbish', async () => {
  const { inner, store, use } = setUp({ prefixes: secrets, write: key('aesgcm'), read: [key('aesgcm')] });
  await store.create(at, bytes('{}'));
  await inner.create(`${at}-moved`, (await inner.get(at))?.value ?? bytes(''));
  await expect(store.get(`${at}-moved`)).rejects.toMatchObject({ code: 'corrupt' });
  use({ prefixes: secrets, write: undefined, read: [] });
  await expect(store.get(at)).rejects.toThrow('not configured (aesgcm:v1:k1)');
});

describe('configuration', () => {
  test('what is made is read back; the first key encrypts unless disabled', () => {
    const first = newEncryptionKey(now);
    const policy = parseEncryptionConfig(encryptionConfigText([first], true));
    expect(policy).toEqual({ prefixes: secrets, write: first, read: [first] });
    const rotated = parseEncryptionConfig(encryptionConfigText(rotatedKeys(policy, new Date(now.getTime() + 1000)), true));
    expect(rotated.read).toHaveLength(2);
    expect(rotated.write).not.toEqual(first);
    expect(parseEncryptionConfig(encryptionConfigText([first], false)).write).toBeUndefined();
  });
  test("upstream's resource patterns", () => {
    const config = (resources: string) =>
      parseEncryptionConfig(
        `{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{resources: [${resources}], providers: [{identity: {}}]}]}`,
      );
    expect(config('secrets, widgets.example.com, "*.apps", "*."').prefixes).toEqual([
      '/registry/core/secrets/',
      '/registry/example.com/widgets/',
      '/registry/apps/',
      '/registry/core/',
    ]);
    expect(() => config('"a/b"')).toThrow('is no resource');
  });
  test.each([
    ['providers: [{kms: {}}]', 'not supported'],
    ['providers: [{aescbc: {keys: [{name: a, secret: c2hvcnQ=}]}}]', '16, 24 or 32 bytes'],
    ['providers: []', 'not empty'],
  ])('%s is refused', (providers, message) => {
    expect(() =>
      parseEncryptionConfig(
        `{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{resources: [secrets], ${providers}}]}`,
      ),
    ).toThrow(message);
  });
});
