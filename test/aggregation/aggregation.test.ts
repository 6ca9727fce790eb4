/** An aggregated API server on another host of the network: what kubectl, the garbage collector and namespaces make of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Authority, testAuthority } from '../../src/apiserver/aggregation/fixture.ts';
import type { Host } from '../harness/lan.ts';
import { end, eventually } from '../harness/machine.ts';
import { clientTools, createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

const port = 8443;
const image = { name: 'example.test/idle:1', entrypoint: ['/bin/sh', '-c', 'while :; do sleep 1; done'] };

let scenario: Scenario;
let node: ServerNode;
let host: Host;
let authority: Authority;
let extension: ChildProcess;

/** Starts the extension server; resolves when it listens. */
async function startExtension(where: Host): Promise<ChildProcess> {
  const certificate = join(node.folder, 'extension.json');
  writeFileSync(certificate, JSON.stringify(authority.issue('extension', ['extension.default.svc'])));
  const [enter = '', ...enterArgs] = where.enter;
  const script = join(import.meta.dirname, 'extension.ts');
  const words = [...enterArgs, process.execPath, script, node.kubeconfig, node.url, String(port), certificate];
  const child = spawn(enter, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  scenario.cleanup.add('extension server', () => end(child, 'SIGKILL'));
  await once(createInterface({ input: child.stdout }), 'line');
  return child;
}

const objects = (caBundle: string, address: string): string => `
apiVersion: v1
kind: Service
metadata: {name: extension, namespace: default}
spec: {ports: [{name: https, port: 443, targetPort: ${port}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: extension, namespace: default, labels: {kubernetes.io/service-name: extension}}
addressType: IPv4
endpoints: [{addresses: [${address}]}]
ports: [{name: https, port: ${port}}]
${['v1.example.test', 'v1beta1.metrics.k8s.io']
  .map(
    (name) => `---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: ${name}}
spec:
  group: ${name.slice(name.indexOf('.') + 1)}
  version: ${name.slice(0, name.indexOf('.'))}
  service: {namespace: default, name: extension}
  caBundle: ${caBundle}
  groupPriorityMinimum: 100
  versionPriority: 100
`,
  )
  .join('')}`;

const gadget = (name: string, namespace: string, extra = ''): string => `
apiVersion: example.test/v1
kind: Gadget
metadata: {name: ${name}, namespace: ${namespace}${extra}}
spec: {size: 3}
`;

const available = (status: string): Promise<true> =>
  eventually<true>(`both API services are ${status}`, async () => {
    const path = 'jsonpath={range .items[?(@.spec.service)]}{.status.conditions[0].status}|{.status.conditions[0].message}{"\\n"}{end}';
    const told = (await node.ok(['get', 'apiservices', '-o', path])).trim().split('\n');
    if (told.length === 2 && told.every((line) => line.startsWith(`${status}|`))) return true;
    throw new Error(told.join('; '));
  });

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('n1');
  await node.start();
  await node.nodeReady();
  await node.addImage(image);
  host = await scenario.lan.addHost('extension');
  authority = testAuthority('extension-ca');
  extension = await startExtension(host);
  await node.ok(['apply', '-f', '-'], objects(Buffer.from(authority.cert).toString('base64'), host.address));
  await available('True');
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

test('API services show where each group is served and whether it is there', async () => {
  const table = await node.ok(['get', 'apiservices']);
  expect(table).toMatch(/^NAME +SERVICE +AVAILABLE +AGE\n/);
  expect(table).toMatch(/^v1\.apps +Local +True +/m);
  expect(table).toMatch(/^v1\.example\.test +default\/extension +True +/m);
  expect(await node.ok(['describe', 'apiservice', 'v1.example.test'])).toMatch(/Reason: +Passed/);
});

test('kubectl finds, explains, creates, watches and deletes objects of another server', async () => {
  await eventually('discovery shows them', async () =>
    /^gadgets +gd +example\.test\/v1 +true +Gadget$/m.test((await node.kubectl(['api-resources'])).stdout) ? true : undefined,
  );
  await eventually('they are explained', async () =>
    (await node.kubectl(['explain', 'gadgets.spec.size'])).stdout.includes('How big it is.') ? true : undefined,
  );
  await node.ok(['create', '--validate=false', '-f', '-'], gadget('one', 'default'));
  expect(await node.ok(['get', 'gd', '-A'])).toMatch(/^default +one +/m);
  const [enter = '', ...enterArgs] = node.host.enter;
  const words = [...enterArgs, clientTools().kubectl, `--kubeconfig=${node.kubeconfig}`, 'get', 'gadgets', '--watch-only', '-o', 'name'];
  const watch = spawn(enter, words, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, HOME: node.folder } });
  try {
    const lines = createInterface({ input: watch.stdout });
    const seen: string[] = [];
    lines.on('line', (line) => seen.push(line));
    let made = 0;
    // The watch is there once it tells of something.
    await eventually('the watch tells of a new gadget', async () => {
      await node.ok(['create', '--validate=false', '-f', '-'], gadget(`watched-${made++}`, 'default'));
      return seen.length > 0 ? true : undefined;
    });
    expect(seen[0]).toMatch(/^gadget\.example\.test\/watched-\d+$/);
  } finally {
    await end(watch, 'SIGKILL');
  }
  await node.ok(['delete', 'gadget', 'one']);
  expect((await node.kubectl(['get', 'gadget', 'one'])).stderr).toBe(
    'Error from server (NotFound): gadgets.example.test "one" not found\n',
  );
});

test('the other server hears who asks, and only those with the rights to ask reach it', async () => {
  const asAlice = ['--as=alice', '--as-group=devs', '-n', 'default'];
  const refused = await node.kubectl([...asAlice, 'create', '--validate=false', '-f', '-'], gadget('hers', 'default'));
  expect(refused.stderr).toContain('User "alice" cannot create resource "gadgets" in API group "example.test" in the namespace "default"');
  await node.ok(['create', 'role', 'makers', '--verb=create,get,list', '--resource=gadgets.example.test']);
  await node.ok(['create', 'rolebinding', 'makers', '--role=makers', '--group=devs']);
  await node.ok([...asAlice, 'create', '--validate=false', '-f', '-'], gadget('hers', 'default'));
  const by = 'jsonpath={.metadata.annotations.example\\.test/created-by}';
  expect(await node.ok(['get', 'gadget', 'hers', '-o', by])).toBe('alice of devs, system:authenticated');
});

test('who comes without the certificate of the front proxy is nobody', async () => {
  const script = `process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    const answer = await fetch('https://${host.address}:${port}/apis', { headers: { 'x-remote-user': 'root', 'x-remote-group': 'system:masters' } });
    console.log(answer.status);`;
  const { stdout } = await node.inside(process.execPath, ['--no-warnings', '--input-type=module', '-e', script]);
  expect(stdout).toBe('401\n');
});

test('kubectl top shows what the kubelet measures, through an aggregated metrics API', async () => {
  await node.ok(['run', 'idle', '--image=example.test/idle:1', '--restart=Never']);
  await node.ok(['wait', '--for=condition=Ready', 'pod/idle', '--timeout=60s']);
  const nodes = await eventually('the node is measured', async () => {
    const { stdout } = await node.kubectl(['top', 'nodes', '--no-headers']);
    return /^n1 +\d+m +\d+% +[1-9]\d*Mi +\d+%/.test(stdout) ? stdout : undefined;
  });
  expect(nodes).toMatch(/^n1 /);
  await eventually('the pod is measured', async () =>
    /^idle +\d+m +\d+Mi/m.test((await node.kubectl(['top', 'pods'])).stdout) ? true : undefined,
  );
});

test('what a deleted object owned is collected on the other server too', async () => {
  await node.ok(['create', 'configmap', 'owner']);
  const uid = await node.ok(['get', 'configmap', 'owner', '-o', 'jsonpath={.metadata.uid}']);
  const owner = `, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: ${uid}}]`;
  await node.ok(['create', '--validate=false', '-f', '-'], gadget('owned', 'default', owner));
  await node.ok(['delete', 'configmap', 'owner']);
  await eventually('the gadget is gone', async () => ((await node.kubectl(['get', 'gadget', 'owned'])).code === 1 ? true : undefined));
  expect((await node.kubectl(['get', 'gadget', 'owned'])).stderr).toContain('gadgets.example.test "owned" not found');
});

test('a namespace takes its objects on the other server with it', async () => {
  await node.ok(['create', 'namespace', 'shop']);
  await node.ok(['create', '--validate=false', '-f', '-'], gadget('goes', 'shop'));
  await node.ok(['delete', 'namespace', 'shop', '--timeout=60s']);
  expect(await node.ok(['get', 'gadgets', '-A', '-o', 'name'])).not.toContain('goes');
});

test('a server that is gone is told of, holds namespaces back and nothing else; all goes on when it is back', async () => {
  await node.ok(['create', 'namespace', 'waiting']);
  await end(extension, 'SIGKILL');
  await available('False');
  expect(await node.ok(['get', 'apiservices'])).toMatch(/^v1\.example\.test +default\/extension +False \(FailedDiscoveryCheck\) +/m);
  const refused = await node.kubectl(['get', '--raw', '/apis/example.test/v1/gadgets']);
  expect(refused.stderr).toContain('Error from server (ServiceUnavailable)');
  expect(await node.ok(['get', 'pods', '-A'])).toContain('idle');
  await node.ok(['delete', 'namespace', 'waiting', '--wait=false']);
  await eventually('the namespace says what it waits for', async () => {
    const path = 'jsonpath={.status.conditions[?(@.type=="NamespaceDeletionDiscoveryFailure")].message}';
    const message = await node.ok(['get', 'namespace', 'waiting', '-o', path]);
    return message.includes('example.test/v1: stale GroupVersion discovery: example.test/v1') ? true : undefined;
  });
  extension = await startExtension(host);
  await available('True');
  await node.ok(['wait', '--for=delete', 'namespace/waiting', '--timeout=60s']);
});

test('after a restart of the server everything is as before', async () => {
  await node.stop('SIGKILL');
  await node.start();
  await available('True');
  await node.ok(['create', '--validate=false', '-f', '-'], gadget('later', 'default'));
  expect(await node.ok(['get', 'gadget', 'later', '-o', 'name'])).toBe('gadget.example.test/later\n');
  expect(await node.ok(['get', 'apiservice', 'v1.apps', '-o', 'jsonpath={.metadata.labels}'])).toContain('"onstart"');
});

test('a server on a node is reached through the node', async () => {
  await startExtension(node.host);
  const endpoints = [{ addresses: [node.host.address], nodeName: 'n1' }];
  await node.ok(['patch', 'endpointslice', 'extension', '--type=merge', '-p', JSON.stringify({ endpoints })]);
  await end(extension, 'SIGKILL');
  // The other server's objects are gone with its memory.
  await eventually('requests go to the new one', async () =>
    (await node.kubectl(['get', 'gadget', 'later'])).stderr.includes('NotFound') ? true : undefined,
  );
  for (const name of ['a', 'b', 'c']) await node.ok(['create', '--validate=false', '-f', '-'], gadget(name, 'default'));
  expect(await node.ok(['get', 'gadgets', '-o', 'name'])).toBe('gadget.example.test/a\ngadget.example.test/b\ngadget.example.test/c\n');
  await available('True');
});
