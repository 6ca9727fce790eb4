import { expect, test } from 'vitest';
import { generateToken, tokenRow, tokenSecret } from './bootstrap-token.ts';

const now = Date.UTC(2026, 0, 1);

test('a token becomes a Secret that says for whom, for what and until when', () => {
  const { token, secret } = tokenSecret(
    { token: 'abcdef.0123456789abcdef', ttl: '2h', description: 'for the barn', groups: ['system:bootstrappers:barn'] },
    now,
  );
  expect(token).toBe('abcdef.0123456789abcdef');
  expect(secret).toMatchObject({
    type: 'bootstrap.kubernetes.io/token',
    metadata: { name: 'bootstrap-token-abcdef', namespace: 'kube-system' },
  });
  expect(tokenRow(secret as never, now)).toEqual({
    token: 'abcdef.0123456789abcdef',
    ttl: '2h',
    expires: '2026-01-01T02:00:00Z',
    usages: 'signing,authentication',
    description: 'for the barn',
    groups: 'system:bootstrappers:barn',
  });
});

test('a token with ttl 0 never expires; generated ones have the right form', () => {
  expect(tokenRow(tokenSecret({ ttl: '0' }, now).secret as never, now)).toMatchObject({ ttl: '<forever>', expires: '<never>' });
  expect(generateToken()).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);
  expect(generateToken()).not.toBe(generateToken());
});

test.each([
  [{ token: 'ABCDEF.0123456789abcdef' }, 'was not of the form'],
  [{ groups: ['system:masters'] }, 'bootstrap group "system:masters" is invalid'],
  [{ usages: ['everything'] }, 'invalid usage "everything"'],
  [{ ttl: 'soon' }, 'not a duration'],
])('%o is refused', (settings, message) => {
  expect(() => tokenSecret(settings, now)).toThrow(message);
});
