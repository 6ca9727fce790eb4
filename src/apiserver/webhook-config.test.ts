import { expect, test } from 'vitest';
import { authorizationHeader, parseWebhookUsers } from './webhook-config.ts';

const files: Readonly<Record<string, string>> = {
  '/etc/hooks.yaml': JSON.stringify({
    users: [
      { name: 'one.ns.svc', user: { token: 'one' } },
      { name: 'two.ns.svc:8443', user: { username: 'u', password: 'p' } },
      { name: '*.example.com', user: { tokenFile: 'token' } },
      { name: '*.ns.svc', user: { 'client-certificate': 'cert.pem', 'client-key-data': Buffer.from('KEY').toString('base64') } },
    ],
  }),
  '/etc/token': 'from file\n',
  '/etc/cert.pem': 'CERT',
};
const read = (path: string): string => {
  const text = files[path];
  if (text === undefined) throw new Error(`no ${path}`);
  return text;
};

test.each([
  ['one.ns.svc:443', { token: 'one' }],
  // The name without a port stands for port 443 only.
  ['one.ns.svc:8443', undefined],
  ['two.ns.svc:8443', { username: 'u', password: 'p' }],
  ['three.ns.svc:443', { cert: 'CERT', key: 'KEY' }],
  ['a.b.example.com:443', { token: 'from file' }],
  ['elsewhere.test:443', undefined],
])('a webhook at %s is called with %j', (hostPort, credentials) => {
  expect(parseWebhookUsers('/etc/hooks.yaml', read)(hostPort)).toEqual(credentials);
});

test('credentials that need a program are refused', () => {
  const config = JSON.stringify({ users: [{ name: 'x', user: { exec: { command: 'y' } } }] });
  expect(() => parseWebhookUsers('/x', () => config)).toThrow('auth provider not supported');
});

test.each([
  [{ token: 't', username: 'u' }, { authorization: 'Bearer t' }],
  [{ username: 'u', password: 'p' }, { authorization: `Basic ${Buffer.from('u:p').toString('base64')}` }],
  [{}, {}],
])('%j are sent as %j', (credentials, headers) => {
  expect(authorizationHeader(credentials)).toEqual(headers);
});
