import { expect, test } from 'vitest';
import type { KubeClient } from '#client/contract.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { testPod } from '../pods/fixtures.ts';
import { createTokenManager } from './tokens.ts';

function setUp() {
  const clock = fakeClock();
  let count = 0;
  let up = true;
  const createSubresource = ((_resource: unknown, _at: unknown, _sub: string, body: { spec?: { expirationSeconds?: number } }) => {
    if (!up) return Promise.reject(new Error('server away'));
    const expirationTimestamp = new Date(clock.now() + (body.spec?.expirationSeconds ?? 0) * 1000).toISOString();
    return Promise.resolve({ ...body, status: { token: `t${++count}`, expirationTimestamp } });
  }) as unknown as KubeClient['createSubresource'];
  const tokens = createTokenManager({ createSubresource }, clock);
  return { clock, tokens, get: () => tokens.get(testPod(), { path: 'token', expirationSeconds: 600 }), cut: () => (up = false) };
}

test('a token is renewed after four fifths of its life', async () => {
  const t = setUp();
  expect(await t.get()).toBe('t1');
  expect(t.tokens.renewIn('u1')).toBe(480_000);
  await t.clock.advance(479_000);
  expect(await t.get()).toBe('t1');
  await t.clock.advance(2000);
  expect(await t.get()).toBe('t2');
});

test('while the server is away the old token serves to its end', async () => {
  const t = setUp();
  await t.get();
  t.cut();
  await t.clock.advance(500_000);
  expect(await t.get()).toBe('t1');
  await t.clock.advance(101_000);
  await expect(t.get()).rejects.toThrow('failed to fetch token: server away');
});

test('tokens of a pod that is gone are forgotten', async () => {
  const t = setUp();
  await t.get();
  t.tokens.forget('u1');
  expect(t.tokens.renewIn('u1')).toBeUndefined();
});
