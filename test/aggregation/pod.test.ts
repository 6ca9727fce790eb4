/** An aggregated API server where extension authors run theirs: in a pod, behind a service that selects it. */
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testAuthority } from '../../src/apiserver/aggregation/fixture.ts';
import { eventually } from '../harness/machine.ts';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

let scenario: Scenario;
let node: ServerNode;

const objects = (caBundle: string, apiServer: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: extension, namespace: default}
spec:
  selector: {matchLabels: {app: extension}}
  template:
    metadata: {labels: {app: extension}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: server
        image: example.test/extension:1
        args: [/etc/extension/kubeconfig, "${apiServer}", "8443", /etc/extension/certificate]
        ports: [{name: https, containerPort: 8443}]
        readinessProbe: {tcpSocket: {port: https}, periodSeconds: 1}
        volumeMounts: [{name: files, mountPath: /etc/extension}]
      volumes: [{name: files, secret: {secretName: extension}}]
---
apiVersion: v1
kind: Service
metadata: {name: extension, namespace: default}
spec: {selector: {app: extension}, ports: [{name: web, port: 443, targetPort: https}]}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.example.test}
spec:
  group: example.test
  version: v1
  service: {namespace: default, name: extension}
  caBundle: ${caBundle}
  groupPriorityMinimum: 100
  versionPriority: 100
`;

const gadget = (name: string): string =>
  JSON.stringify({ apiVersion: 'example.test/v1', kind: 'Gadget', metadata: { name, namespace: 'default' }, spec: { size: 3 } });

const reason = async (): Promise<string> =>
  await node.ok(['get', 'apiservice', 'v1.example.test', '-o', 'jsonpath={.status.conditions[?(@.type=="Available")].reason}']);
const becomes = (wanted: string): Promise<true> =>
  eventually<true>(`the API service becomes ${wanted}`, async () => {
    const now = await reason();
    if (now === wanted) return true;
    const logs = await node.kubectl(['logs', '--tail=20', 'deployment/extension']);
    throw new Error(`${now}: ${logs.stdout}${logs.stderr}`);
  });

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('n1');
  const bundled = await build({
    entryPoints: [join(import.meta.dirname, 'extension.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    // What is CommonJS among what it imports asks for modules of Node.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    write: false,
  });
  await node.start();
  await node.nodeReady();
  await node.addImage({
    name: 'example.test/extension:1',
    programs: [process.execPath],
    files: { '/srv/extension.mjs': bundled.outputFiles[0]?.text ?? '' },
    entrypoint: ['/bin/node', '/srv/extension.mjs'],
  });
  const authority = testAuthority('extension-ca');
  const certificate = JSON.stringify(authority.issue('extension', ['extension.default.svc']));
  await node.ok([
    'create',
    'secret',
    'generic',
    'extension',
    `--from-file=kubeconfig=${node.kubeconfig}`,
    `--from-literal=certificate=${certificate}`,
  ]);
  await node.ok(['apply', '-f', '-'], objects(Buffer.from(authority.cert).toString('base64'), node.url));
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

test('objects of a server in a pod are made and found, and it hears who asks', async () => {
  await becomes('Passed');
  await node.ok(['create', '--validate=false', '-f', '-'], gadget('one'));
  expect(await node.ok(['get', '--raw', '/apis/example.test/v1/namespaces/default/gadgets/one'])).toContain(
    '"example.test/created-by":"system:admin of system:masters, system:authenticated"',
  );
});

test('while the pod is gone that is told, and its successor is found', async () => {
  await node.ok(['scale', 'deployment', 'extension', '--replicas=0']);
  await becomes('MissingEndpoints');
  const refused = await node.kubectl(['get', '--raw', '/apis/example.test/v1/gadgets']);
  expect(refused.stderr).toContain('Error from server (ServiceUnavailable)');
  await node.ok(['scale', 'deployment', 'extension', '--replicas=1']);
  await becomes('Passed');
  await node.ok(['create', '--validate=false', '-f', '-'], gadget('two'));
  expect(await node.ok(['get', '--raw', '/apis/example.test/v1/namespaces/default/gadgets/two'])).toContain('"size":3');
});
