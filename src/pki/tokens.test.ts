import { createHash, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { testAuthority } from './testing.ts';
import { caHash, formatToken, parseToken, trustsAuthority } from './tokens.ts';

const hash = 'a'.repeat(64);

test.each([
  ['secret', { password: 'secret', bootstrap: false }],
  ['abcdef.0123456789abcdef\n', { password: 'abcdef.0123456789abcdef', bootstrap: true }],
  [`K10${hash}::node:pass:word`, { caHash: hash, user: 'node', password: 'pass:word', bootstrap: false }],
  [`K10${hash}::abcdef.0123456789abcdef`, { caHash: hash, password: 'abcdef.0123456789abcdef', bootstrap: true }],
])('%j is read', (text, expected) => {
  expect(parseToken(text)).toEqual(expected);
});

test.each(['', 'K10', 'K10abc::node:x', `K10${hash}:node:x`, `K10${hash}::`, `K10${hash}::node:`])('%j is refused', (text) => {
  expect(() => parseToken(text)).toThrow(/token/);
});

test('a token trusts the authority it was made for and no other', () => {
  const token = parseToken(formatToken('PEM', 'node', 'x'));
  expect(trustsAuthority(token, 'PEM')).toBe(true);
  expect(trustsAuthority(token, 'other')).toBe(false);
});

test('of several certificates a token names the root, so that an authority below the same root may take the place of another', () => {
  const root = testAuthority('root');
  const [one, other] = [testAuthority('one', root), testAuthority('other', root)];
  const hash = caHash(one.certPem + root.certPem);
  expect(hash).toBe(createHash('sha256').update(new X509Certificate(root.certPem).raw).digest('hex'));
  expect(caHash(other.certPem + root.certPem)).toBe(hash);
  expect(caHash(root.certPem)).toBe(createHash('sha256').update(root.certPem).digest('hex'));
});
