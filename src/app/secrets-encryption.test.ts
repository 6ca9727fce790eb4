import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { ApiRequest, ApiResponse } from '#apiserver/contract.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { createMemoryStore } from '#store/drivers/memory/memory-store.ts';
import { openSecretsEncryption, type SecretsEncryption } from './secrets-encryption.ts';

const dir = mkdtempSync(join(tmpdir(), 'encrypt-'));
afterAll(() => rmSync(dir, { recursive: true }));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString('utf8');
const key = '/registry/core/secrets/ns/a';

async function ask(encryption: SecretsEncryption, action?: string): Promise<unknown> {
  const path = action === undefined ? '/v1-k3ts/encrypt/status' : '/v1-k3ts/encrypt/config';
  const route = encryption.routes.find((r) => r.path === path);
  const body = action === undefined ? undefined : Buffer.from(JSON.stringify({ action }));
  const answer: ApiResponse | undefined = await route?.handle({ body, signal: new AbortController().signal } as ApiRequest);
  return answer?.type === 'bytes' ? (JSON.parse(String(answer.body)) as unknown) : undefined;
}

test('secrets are encrypted, rotated and decrypted while running, and the keys survive a restart', async () => {
  const file = join(dir, 'encryption-config.json');
  const bare = createMemoryStore();
  const clock = fakeClock();
  const deps = { clock, log: memoryLogger() };
  const first = await openSecretsEncryption(bare, file, undefined, deps);
  await first.store.create(key, bytes('{"a":1}'));
  expect(await ask(first)).toEqual({ enabled: false, keys: [] });
  await expect(ask(first, 'rotate-keys')).rejects.toMatchObject({ code: 400 });
  expect(await ask(first, 'enable')).toMatchObject({ enabled: true, rewritten: 1 });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const sealed = text((await bare.get(key))?.value);
  expect(sealed).toMatch(/^k8s:enc:aescbc:v1:/);

  const second = await openSecretsEncryption(bare, file, undefined, deps);
  expect(text((await second.store.get(key))?.value)).toBe('{"a":1}');
  await clock.advance(1000);
  expect(await ask(second, 'rotate-keys')).toMatchObject({ enabled: true, rewritten: 1, keys: [expect.any(String), expect.any(String)] });
  expect(text((await bare.get(key))?.value).slice(0, 50)).not.toBe(sealed.slice(0, 50));
  expect(await ask(second, 'disable')).toMatchObject({ enabled: false, rewritten: 1 });
  expect(text((await bare.get(key))?.value)).toBe('{"a":1}');
  expect(readFileSync(file, 'utf8')).toContain('aescbc');
});

test('what the administrator configured is not changed', async () => {
  const policy = { prefixes: ['/registry/core/secrets/'], write: undefined, read: [] };
  const fixed = await openSecretsEncryption(createMemoryStore(), join(dir, 'other.json'), policy, {
    clock: fakeClock(),
    log: memoryLogger(),
  });
  await expect(ask(fixed, 'enable')).rejects.toMatchObject({ message: expect.stringContaining('encryption-provider-config') });
  await expect(ask(fixed, 'explode')).rejects.toMatchObject({ code: 400 });
});
