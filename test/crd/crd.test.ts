/** Custom resources on the executable, with kubectl: two versions that a webhook converts, defaults, rules, scale, explain, the end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { end } from '../harness/machine.ts';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

let scenario: Scenario;
let node: ServerNode;
let webhook: { readonly port: number; readonly ca: string };

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('server', ['--disable-agent']);
  await node.start();
  const [enter = '', ...enterArgs] = node.host.enter;
  const child = spawn(enter, [...enterArgs, process.execPath, join(import.meta.dirname, 'webhook.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  scenario.cleanup.add('conversion webhook', () => end(child, 'SIGKILL'));
  const ended = once(child, 'exit').then(() => {
    throw new Error('the webhook does not run');
  });
  const [line] = (await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended])) as [string];
  ended.catch(() => undefined);
  webhook = JSON.parse(line) as typeof webhook;
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

const replicas = { type: 'integer', minimum: 0, default: 1, description: 'How many servers answer.' };
const text = { type: 'string' };
const schemaOf = (spec: Record<string, unknown>, rules: readonly unknown[] = []) => ({
  openAPIV3Schema: {
    type: 'object',
    description: 'Where requests go.',
    properties: {
      spec: { type: 'object', properties: { replicas, ...spec }, ...(rules.length === 0 ? {} : { 'x-kubernetes-validations': rules }) },
      status: { type: 'object', properties: { replicas: { type: 'integer' }, selector: text } },
    },
  },
});
const subresources = {
  status: {},
  scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.selector' },
};
const rules = [
  { rule: 'self.replicas <= 5', messageExpression: "'at most 5, not %d'.format([self.replicas])", fieldPath: '.replicas' },
  { rule: '!has(oldSelf.host) || self.host == oldSelf.host', message: 'host stays', reason: 'FieldValueForbidden', fieldPath: '.host' },
];

function definition(storage: 'v1' | 'v2', port: Record<string, unknown> = text, versions = ['v1', 'v2']): string {
  const v1 = { name: 'v1', schema: schemaOf({ hostPort: { ...text, description: 'Host and port.' } }), subresources };
  const columns = [{ name: 'Host', type: 'string', jsonPath: '.spec.host' }];
  const v2 = { name: 'v2', schema: schemaOf({ host: text, port }, rules), subresources, additionalPrinterColumns: columns };
  return JSON.stringify({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'routes.crd.example.test' },
    spec: {
      group: 'crd.example.test',
      scope: 'Namespaced',
      names: { plural: 'routes', singular: 'route', kind: 'Route', shortNames: ['rt'], categories: ['network'] },
      conversion: {
        strategy: 'Webhook',
        webhook: {
          conversionReviewVersions: ['v1'],
          clientConfig: { url: `https://127.0.0.1:${webhook.port}/convert`, caBundle: webhook.ca },
        },
      },
      versions: [v1, v2].filter((v) => versions.includes(v.name)).map((v) => ({ ...v, served: true, storage: v.name === storage })),
    },
  });
}

const route = (version: string, name: string, spec: Record<string, unknown>): string =>
  JSON.stringify({ apiVersion: `crd.example.test/${version}`, kind: 'Route', metadata: { name }, spec });
const crd = 'crd/routes.crd.example.test';
const read = (name: string, path: string, version = 'v2') =>
  node.ok(['get', `routes.${version}.crd.example.test/${name}`, '-o', `jsonpath={${path}}`]);
const refused = async (args: readonly string[], why: string, input?: string): Promise<void> => {
  const { code, stderr } = await node.kubectl(args, input);
  expect(stderr).toContain(why);
  expect(code).toBe(1);
};

test('a definition is in use as soon as it is written: in discovery, in explain, in tables', async () => {
  await node.ok(['apply', '-f', '-'], definition('v1'));
  await node.ok(['wait', '--for=condition=Established', crd, '--timeout=60s']);
  expect(await node.ok(['api-resources', '--api-group=crd.example.test', '-o', 'name'])).toBe('routes.crd.example.test\n');
  expect(await node.ok(['explain', 'routes.spec.replicas', '--api-version=crd.example.test/v1'])).toContain('How many servers answer.');
  await node.ok(['apply', '-f', '-'], route('v2', 'a', { host: 'h', port: '1' }));
  expect((await node.ok(['get', 'rt'])).split(/\s+/).slice(0, 4)).toEqual(['NAME', 'HOST', 'a', 'h']);
  expect((await node.ok(['get', 'network', '-o', 'name'])).trim()).toBe('route.crd.example.test/a');
});

test('objects are read and written in either version, with defaults', async () => {
  expect(await read('a', '.spec.hostPort', 'v1')).toBe('h:1');
  expect(await read('a', '.spec.replicas')).toBe('1');
  await node.ok(['patch', 'routes.v1.crd.example.test/a', '--type=merge', '-p', '{"spec":{"hostPort":"h:2"}}']);
  expect(await read('a', '.spec.port')).toBe('2');
  await node.ok(['apply', '--server-side', '--force-conflicts', '-f', '-'], route('v2', 'a', { host: 'h', port: '3' }));
  expect(await read('a', '.spec.hostPort', 'v1')).toBe('h:3');
});

test('rules are checked, with messages made from the object and of what may change', async () => {
  await refused(
    ['apply', '-f', '-'],
    'spec.replicas: Invalid value: "object": at most 5, not 9',
    route('v2', 'b', { host: 'h', replicas: 9 }),
  );
  await refused(
    ['patch', 'routes.v2.crd.example.test/a', '--type=merge', '-p', '{"spec":{"host":"g"}}'],
    'spec.host: Forbidden: host stays',
  );
  expect(await read('a', '.spec.host')).toBe('h');
});

test('scale and status are parts of their own', async () => {
  await node.ok(['scale', '--replicas=3', 'routes.v2.crd.example.test/a']);
  expect(await read('a', '.spec.replicas')).toBe('3');
  await node.ok([
    'patch',
    'routes.v2.crd.example.test/a',
    '--subresource=status',
    '--type=merge',
    '-p',
    '{"status":{"replicas":3,"selector":"x=y"}}',
  ]);
  expect(await node.ok(['get', '--raw', '/apis/crd.example.test/v1/namespaces/default/routes/a/scale'])).toContain('"selector":"x=y"');
});

test('a stricter schema leaves alone what was there, and refuses what comes', async () => {
  await node.ok(['apply', '-f', '-'], definition('v1', { ...text, maxLength: 0 }));
  await node.ok(['patch', 'routes.v2.crd.example.test/a', '--type=merge', '-p', '{"spec":{"replicas":4}}']);
  const change = ['patch', 'routes.v2.crd.example.test/a', '--type=merge', '-p', '{"spec":{"port":"77"}}'];
  await refused(change, 'spec.port: Too long: may not be more than 0 bytes');
  expect(await read('a', '.spec.port')).toBe('3');
});

test('the storage version changes, and the old one goes once nothing is stored in it', async () => {
  await node.ok(['apply', '-f', '-'], definition('v2'));
  expect(await node.ok(['get', crd, '-o', 'jsonpath={.status.storedVersions}'])).toBe('["v1","v2"]');
  expect(await read('a', '.spec.host')).toBe('h');
  await refused(
    ['apply', '-f', '-'],
    'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions',
    definition('v2', text, ['v2']),
  );
  await node.ok(['annotate', 'routes.v2.crd.example.test', '--all', 'migrated=yes']);
  await node.ok(['patch', crd, '--subresource=status', '--type=merge', '-p', '{"status":{"storedVersions":["v2"]}}']);
  await node.ok(['apply', '-f', '-'], definition('v2', text, ['v2']));
  expect(await read('a', '.spec.port')).toBe('3');
  await refused(['get', '--raw', '/apis/crd.example.test/v1/routes'], 'the server could not find the requested resource');
});

test('a definition that the server has read again from disk serves what is stored', async () => {
  await node.stop('SIGTERM');
  await node.start();
  expect(await read('a', '.spec.replicas')).toBe('4');
});

test('a definition goes with its instances, after their finalizers', async () => {
  await node.ok(['patch', 'routes.v2.crd.example.test/a', '--type=merge', '-p', '{"metadata":{"finalizers":["crd.example.test/hold"]}}']);
  await node.ok(['delete', crd, '--wait=false']);
  await node.ok(['wait', '--for=jsonpath={.metadata.deletionTimestamp}', 'routes.v2.crd.example.test/a', '--timeout=60s']);
  expect(await node.ok(['get', crd, '-o', 'jsonpath={.status.conditions[?(@.type=="Terminating")].reason}'])).toBe(
    'InstanceDeletionInProgress',
  );
  await refused(['create', '-f', '-'], 'create not allowed while custom resource definition is terminating', route('v2', 'late', {}));
  await node.ok(['patch', 'routes.v2.crd.example.test/a', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
  await node.ok(['wait', '--for=delete', crd, '--timeout=60s']);
});
