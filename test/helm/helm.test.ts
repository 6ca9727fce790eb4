import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientTools, createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

let scenario: Scenario;
let node: ServerNode;
let chart = '';

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('server');
  await node.start();
  await node.nodeReady();
  await node.addImage({ name: 'example.test/tool:1' });
  chart = join(node.folder, 'chart');
  mkdirSync(join(chart, 'templates'), { recursive: true });
  writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: small\nversion: 0.1.0\n');
  writeFileSync(join(chart, 'values.yaml'), 'color: red\nreplicas: 1\n');
  writeFileSync(
    join(chart, 'templates/all.yaml'),
    `
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-settings}
data: {color: {{ .Values.color }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {release: {{ .Release.Name }}}}
  template:
    metadata: {labels: {release: {{ .Release.Name }}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: sleep, image: "example.test/tool:1", command: [sleep, "100000"]}]
`,
  );
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

async function helm(...args: string[]): Promise<string> {
  const result = await node.inside('env', [`HOME=${node.folder}`, clientTools().helm, `--kubeconfig=${node.kubeconfig}`, ...args]);
  expect(result).toMatchObject({ code: 0 });
  return result.stdout;
}
const color = () => node.ok(['get', 'configmap', 'demo-settings', '-o', 'jsonpath={.data.color}']);

test('helm installs, upgrades, rolls back and uninstalls a chart', async () => {
  await helm('install', 'demo', chart, '--wait', '--timeout', '60s');
  expect(await color()).toBe('red');
  await helm('upgrade', 'demo', chart, '--set', 'color=green,replicas=2', '--wait', '--timeout', '60s');
  expect(await color()).toBe('green');
  expect(await node.ok(['get', 'deployment', 'demo', '-o', 'jsonpath={.status.readyReplicas}'])).toBe('2');
  await helm('rollback', 'demo', '1', '--wait', '--timeout', '60s');
  expect(await color()).toBe('red');
  expect(await helm('list')).toMatch(/demo\s+default\s+3\s/);
  await helm('uninstall', 'demo', '--wait', '--timeout', '60s');
  expect((await node.kubectl(['get', 'deployment', 'demo'])).stderr).toContain('not found');
});
