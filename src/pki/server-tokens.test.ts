import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureServerTokens, rotateServerToken } from './server-tokens.ts';
import { formatToken } from './tokens.ts';

const ca = 'authority';
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tokens-'));
});
afterEach(() => rmSync(dir, { recursive: true }));
const file = (name: string): string => readFileSync(join(dir, name), 'utf8').trim();

test('a rotated token is what the next start reads, for servers and for agents', async () => {
  const first = await ensureServerTokens(dir, {}, ca);
  const second = await rotateServerToken(dir, first, ca, 'fresh');
  expect([second.serverPassword, second.agentPassword]).toEqual(['fresh', 'fresh']);
  expect([file('token'), file('node-token')]).toEqual([formatToken(ca, 'server', 'fresh'), formatToken(ca, 'node', 'fresh')]);
  expect(await ensureServerTokens(dir, {}, ca)).toEqual(second);
  expect(await ensureServerTokens(dir, { token: 'fresh' }, ca)).toEqual(second);
});

test('a token that was rotated away is refused at the next start, and the new one stays', async () => {
  const first = await ensureServerTokens(dir, { token: 'old' }, ca);
  const second = await rotateServerToken(dir, first, ca);
  expect(second.serverPassword).toMatch(/^[0-9a-f]{32}$/);
  for (const token of ['old', first.serverToken])
    await expect(ensureServerTokens(dir, { token }, ca)).rejects.toThrow('--token is not the token of this server');
  expect(file('token')).toBe(second.serverToken);
});

test('the token of agents stays when it is one of its own', async () => {
  const first = await ensureServerTokens(dir, { token: 'old', agentToken: 'agents' }, ca);
  expect(await rotateServerToken(dir, first, ca, formatToken(ca, 'server', 'new'))).toMatchObject({
    serverPassword: 'new',
    agentPassword: 'agents',
  });
});

test.each([
  ['abcdef.0123456789abcdef', 'bootstrap token'],
  [`K10${'0'.repeat(64)}::server:x`, 'another cluster'],
  ['K10x', 'invalid token'],
])('%s cannot be the new token', async (wanted, why) => {
  const first = await ensureServerTokens(dir, {}, ca);
  await expect(rotateServerToken(dir, first, ca, wanted)).rejects.toThrow(why);
  expect(file('token')).toBe(first.serverToken);
});
