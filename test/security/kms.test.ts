/** Encryption at rest with a key service of one's own, and a configuration that changes while the server runs. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestKms, type TestKms } from '../../src/store/kms-testing.ts';
import { eventually } from '../harness/machine.ts';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

let scenario: Scenario;
let node: ServerNode;
let kms: TestKms;
let config = '';

const database = (): string =>
  readdirSync(join(node.dataDir, 'server/db'))
    .map((name) => readFileSync(join(node.dataDir, 'server/db', name), 'latin1'))
    .join('');

/** All that is not named otherwise, and ConfigMaps with whatever stands first. */
function configure(...forConfigMaps: readonly object[]): void {
  const service = { kms: { apiVersion: 'v2', name: 'mine', endpoint: `unix://${join(node.folder, 'kms.sock')}` } };
  const resources = [
    { resources: ['configmaps'], providers: [...forConfigMaps, ...(forConfigMaps.length === 0 ? [{ identity: {} }] : [])] },
    { resources: ['*.*'], providers: [service, { identity: {} }] },
  ];
  writeFileSync(config, JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources }));
}

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('server', ['--disable-agent']);
  config = join(node.folder, 'encryption.json');
  configure();
  kms = await startTestKms(join(node.folder, 'kms.sock'));
  const settings = [`encryption-provider-config=${config}`, 'encryption-provider-config-automatic-reload=true'];
  await node.start(settings.map((s) => `--kube-apiserver-arg=${s}`));
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
  await kms?.[Symbol.asyncDispose]();
});

const make = (kind: 'secret' | 'configmap', name: string): Promise<string> =>
  node.ok(['create', ...(kind === 'secret' ? ['secret', 'generic'] : ['configmap']), name, `--from-literal=p=plain-words-of-${name}`]);
const words = (kind: 'secret' | 'configmap', name: string): string =>
  kind === 'secret' ? Buffer.from(`plain-words-of-${name}`).toString('base64') : `plain-words-of-${name}`;

test('values are encrypted by way of the service, and readable after a restart', async () => {
  await make('secret', 'kept');
  await make('configmap', 'open');
  expect(database()).toContain('k8s:enc:kms:v2:mine:');
  expect(database()).not.toContain(words('secret', 'kept'));
  expect(database()).toContain(words('configmap', 'open'));
  expect(await node.ok(['get', '--raw', '/healthz/kms-providers'])).toBe('ok');
  await node.stop('SIGKILL');
  await node.start(
    [`encryption-provider-config=${config}`, 'encryption-provider-config-automatic-reload=true'].map((s) => `--kube-apiserver-arg=${s}`),
  );
  expect(await node.ok(['get', 'secret', 'kept', '-o', 'jsonpath={.data.p}'])).toBe(words('secret', 'kept'));
});

test('a configuration that is changed counts at once, and what was written before stays readable', async () => {
  configure({ secretbox: { keys: [{ name: 'own', secret: Buffer.alloc(32, 7).toString('base64') }] } }, { identity: {} });
  const reloads = 'apiserver_encryption_config_controller_automatic_reloads_total{apiserver_id_hash="",status="success"} 1';
  await eventually('the file is read again', async () =>
    (await node.ok(['get', '--raw', '/metrics'])).includes(reloads) ? true : undefined,
  );
  await make('configmap', 'closed');
  expect(database()).toContain('k8s:enc:secretbox:v1:own:');
  expect(database()).not.toContain(words('configmap', 'closed'));
  for (const name of ['open', 'closed'])
    expect(await node.ok(['get', 'configmap', name, '-o', 'jsonpath={.data.p}'])).toBe(words('configmap', name));
});
