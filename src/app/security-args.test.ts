import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { encryptionConfigText, newEncryptionKey } from '#store/encryption-config.ts';
import { securitySettings } from './security-args.ts';

const dir = mkdtempSync(join(tmpdir(), 'security-'));
afterAll(() => rmSync(dir, { recursive: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const settings = (args: Record<string, string>) => securitySettings(new Map(Object.entries(args)));

test('nothing given: nothing set', async () => {
  expect(await settings({})).toEqual({
    auth: {},
    files: {},
    anonymous: undefined,
    audit: undefined,
    encryption: undefined,
    accountKeys: [],
  });
});

test('files are read into what they say', async () => {
  const webhook = `
current-context: c
contexts: [{name: c, context: {cluster: w, user: u}}]
clusters: [{name: w, cluster: {server: "https://127.0.0.1:9/authn", certificate-authority: ca.pem}}]
users: [{name: u, user: {token: t}}]
`;
  file('ca.pem', 'CA');
  const read = await settings({
    'oidc-issuer-url': 'https://issuer',
    'oidc-client-id': 'k3ts',
    'oidc-required-claim': 'hd=example.com',
    'authentication-token-webhook-config-file': file('webhook.yaml', webhook),
    'audit-policy-file': file('audit.yaml', 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n'),
    'audit-log-path': '/var/log/audit.log',
    'audit-log-maxbackup': '3',
    'encryption-provider-config': file('encryption.json', encryptionConfigText([newEncryptionKey(new Date())], true)),
  });
  expect(read.auth.oidc).toMatchObject([{ url: 'https://issuer', requiredClaims: { hd: 'example.com' } }]);
  expect(read.auth.tokenWebhook).toEqual({ server: { url: 'https://127.0.0.1:9/authn', ca: 'CA', token: 't' } });
  expect(read.audit).toMatchObject({
    policy: { rules: [{ level: 'Metadata' }] },
    log: { file: { path: '/var/log/audit.log', maxBackups: 3, format: 'json' } },
  });
  expect(read.encryption).toMatchObject({ path: join(dir, 'encryption.json'), reload: false });
});

test.each([
  [{ 'audit-log-path': '/x' }, 'are needed together'],
  [{ 'audit-policy-file': '/nowhere', 'audit-log-path': '/x' }, 'audit-policy-file: ENOENT'],
  [{ 'audit-log-maxsize': 'many', 'audit-policy-file': join(dir, 'audit.yaml'), 'audit-log-path': '/x' }, 'not a number'],
  [{ 'oidc-issuer-url': 'http://issuer', 'oidc-client-id': 'c' }, 'oidc-issuer-url must use https'],
  [{ 'encryption-provider-config': join(dir, 'ca.pem') }, 'encryption-provider-config'],
  [{ 'encryption-provider-config-automatic-reload': 'true' }, 'must be set with encryption-provider-config'],
])('%o is refused with the name of the setting', async (args, message) => {
  await expect(settings(args)).rejects.toThrow(message);
});
