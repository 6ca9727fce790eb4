import { describe, expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { createMemoryStore } from './drivers/memory/memory-store.ts';
import {
  createEncryptedStore,
  decryptValue,
  type EncryptionKey,
  type EncryptionPolicy,
  type LocalProvider,
  rewriteEncrypted,
} from './encryption.ts';
import { encryptionConfigText, newEncryptionKey, parseEncryptionConfig } from './encryption-config.ts';
import { createWatchCache } from './watch-cache.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString('utf8');
const signal = new AbortController().signal;
const secrets = ['/registry/core/secrets/'];
const key = (provider: LocalProvider, name = 'k1', fill = 1) => ({ provider, name, secret: Buffer.alloc(32, fill) });
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

const rule = (write: EncryptionKey | undefined, ...read: EncryptionKey[]): EncryptionPolicy => [{ prefixes: secrets, write, read }];

describe.each(['aescbc', 'aesgcm', 'secretbox'] as const)('%s', (provider) => {
  const policy = rule(key(provider), key(provider));

  test('values are encrypted below and plain above, in every way of reading', async () => {
    const { inner, store } = setUp(policy);
    const created = await store.create(at, bytes('{"secret":1}'));
    expect(text(created.value)).toBe('{"secret":1}');
    expect(text((await inner.get(at))?.value)).toMatch(new RegExp(`^k8s:enc:${provider}:v1:k1:`));
    expect(text((await inner.get(at))?.value)).not.toContain('"secret"');
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

test("a value of Go's secretbox is opened", async () => {
  // The test vector of NaCl (tests/secretbox.c): nonce, authenticator, message.
  const secret = Buffer.from('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389', 'hex');
  const nonce = '69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37';
  const box =
    'f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5';
  const sealed = Buffer.concat([Buffer.from('k8s:enc:secretbox:v1:k:'), Buffer.from(nonce + box, 'hex')]);
  const plain = await decryptValue([{ provider: 'secretbox', name: 'k', secret }], sealed, at);
  expect(Buffer.from(plain).toString('hex')).toMatch(/^be075fc53c81f2d5cf141316ebeb0c7b/);
});

test('after a rotation old values are read, rewriting encrypts them with the new key, and disabling stores them plain', async () => {
  const first = key('aescbc');
  const { inner, store, use } = setUp(rule(undefined));
  for (let i = 0; i < 250; i++) await store.create(`${at}${i}`, bytes(`{"i":${i}}`));
  use(rule(first, first));
  expect(await rewriteEncrypted(store, secrets, signal)).toBe(250);
  expect(text((await inner.get(`${at}7`))?.value)).toContain('k8s:enc:aescbc:v1:k1:');
  const second = key('secretbox', 'k2', 2);
  use(rule(second, second, first));
  expect(text((await store.get(`${at}7`))?.value)).toBe('{"i":7}');
  await rewriteEncrypted(store, secrets, signal);
  use(rule(undefined, second));
  expect(text((await store.get(`${at}7`))?.value)).toBe('{"i":7}');
  await rewriteEncrypted(store, secrets, signal);
  expect(text((await inner.get(`${at}7`))?.value)).toBe('{"i":7}');
});

test('a value whose key is unknown or that was moved from another key is an error, not rubbish', async () => {
  const { inner, store, use } = setUp(rule(key('aesgcm'), key('aesgcm')));
  await store.create(at, bytes('{}'));
  await inner.create(`${at}-moved`, (await inner.get(at))?.value ?? bytes(''));
  await expect(store.get(`${at}-moved`)).rejects.toMatchObject({ code: 'corrupt' });
  use(rule(undefined));
  await expect(store.get(at)).rejects.toThrow('not configured (aesgcm:v1:k1)');
});

describe('configuration', () => {
  test('what is made is read back; the first key encrypts unless disabled', () => {
    const first = newEncryptionKey(now);
    expect(parseEncryptionConfig(encryptionConfigText([first], true))).toEqual(rule(first, first));
    const second = newEncryptionKey(new Date(now.getTime() + 1000), 'secretbox');
    expect(parseEncryptionConfig(encryptionConfigText([second, first], true))).toEqual(rule(second, second, first));
    expect(parseEncryptionConfig(encryptionConfigText([first], false))).toEqual(rule(undefined, first));
  });
  test('resources may have providers of their own; the first entry that covers a resource counts', async () => {
    const provider = (name: string, fill: number, kind = 'secretbox') => ({
      [kind]: { keys: [{ name, secret: Buffer.alloc(32, fill).toString('base64') }] },
    });
    const policy = parseEncryptionConfig(
      JSON.stringify({
        apiVersion: 'apiserver.config.k8s.io/v1',
        kind: 'EncryptionConfiguration',
        resources: [
          { resources: ['events'], providers: [{ identity: {} }] },
          { resources: ['secrets', 'configmaps'], providers: [provider('a', 1)] },
          { resources: ['*.apps'], providers: [provider('a', 2, 'aesgcm')] },
          { resources: ['*.*'], providers: [provider('a', 3)] },
        ],
      }),
    );
    const { inner, store } = setUp(policy);
    const stored = async (at: string): Promise<string> => {
      await store.create(at, bytes('{"plain":1}'));
      expect(text((await store.get(at))?.value)).toBe('{"plain":1}');
      return text((await inner.get(at))?.value);
    };
    expect(await stored('/registry/core/events/ns/e')).toBe('{"plain":1}');
    expect(await stored('/registry/core/secrets/ns/s')).toMatch(/^k8s:enc:secretbox:v1:a:/);
    expect(await stored('/registry/apps/deployments/ns/d')).toMatch(/^k8s:enc:aesgcm:v1:a:/);
    expect(await stored('/registry/example.com/widgets/ns/w')).toMatch(/^k8s:enc:secretbox:v1:a:/);
  });
  test('an entry that can never count is refused', () => {
    const entry = (resource: string) => ({ resources: [resource], providers: [{ identity: {} }] });
    const config = (...resources: string[]) =>
      parseEncryptionConfig(
        JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources: resources.map(entry) }),
      );
    expect(() => config('*.*', 'secrets')).toThrow('covered already');
    expect(() => config('secrets', 'secrets')).toThrow('covered already');
    expect(() => config('*')).toThrow("use '*.' to encrypt");
    expect(config('secrets', '*.*')).toHaveLength(2);
  });
  test("upstream's resource patterns", () => {
    const config = (resources: string) =>
      parseEncryptionConfig(
        `{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{resources: [${resources}], providers: [{identity: {}}]}]}`,
      );
    expect(config('secrets, widgets.example.com, "*.apps"')[0]?.prefixes).toEqual([
      '/registry/core/secrets/',
      '/registry/example.com/widgets/',
      '/registry/apps/',
    ]);
    expect(config('"*."')[0]?.prefixes).toEqual(['/registry/core/']);
    expect(config('"*.*"')[0]?.prefixes).toEqual(['/registry/']);
    expect(() => config('"a/b"')).toThrow('is no resource');
  });
  test.each([
    ['providers: [{kms: {}}]', 'KMSv1 is deprecated'],
    ['providers: [{aescbc: {keys: [{name: a, secret: c2hvcnQ=}]}}]', 'got 5, expected one of [16 24 32]'],
    ['providers: [{secretbox: {keys: [{name: a, secret: c2hvcnQ=}]}}]', 'expected one of [32]'],
    ['providers: []', 'not empty'],
  ])('%s is refused', (providers, message) => {
    expect(() =>
      parseEncryptionConfig(
        `{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{resources: [secrets], ${providers}}]}`,
      ),
    ).toThrow(message);
  });
});
