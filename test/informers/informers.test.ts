import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { end, eventually } from '../harness/machine.ts';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

let scenario: Scenario;
let node: ServerNode;

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('server', ['--disable-agent']);
  await node.start();
  await node.ok(['create', 'namespace', 'watched']);
  // The namespace's own ConfigMap comes a moment later.
  await eventually('the root CA is published', async () =>
    (await node.kubectl(['-n', 'watched', 'get', 'configmap', 'kube-root-ca.crt'])).code === 0 ? true : undefined,
  );
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

const nameOf = (i: number): string => `map-${String(i).padStart(4, '0')}`;
const maps = (from: number, to: number): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: Array.from({ length: to - from }, (_, i) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: nameOf(from + i), namespace: 'watched', labels: { half: (from + i) % 2 === 0 ? 'even' : 'odd' } },
    })),
  });

test('an informer of the JavaScript client ends with the right set through a restart of the server', async () => {
  const [enter = '', ...args] = node.host.enter;
  const watcher = spawn(enter, [...args, process.execPath, join(import.meta.dirname, 'watch.ts'), node.kubeconfig], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  scenario.cleanup.add('watcher', () => end(watcher, 'SIGKILL'));
  const answers = createInterface({ input: watcher.stdout })[Symbol.asyncIterator]();
  const held = async (): Promise<{ names: string[]; errors: number }> => {
    watcher.stdin.write('\n');
    const { value } = await answers.next();
    return JSON.parse(value ?? '{}') as { names: string[]; errors: number };
  };
  const holds = (numbers: readonly number[]) =>
    eventually(`the informer holds ${numbers.length}`, async () => {
      const { names } = await held();
      return JSON.stringify(names) === JSON.stringify(['kube-root-ca.crt', ...numbers.map(nameOf)]) ? true : undefined;
    });
  const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

  await node.ok(['create', '-f', '-'], maps(0, 600));
  await holds(range(0, 600));
  await node.stop('SIGTERM');
  await node.start();
  await node.ok(['create', '-f', '-'], maps(600, 1000));
  await holds(range(0, 1000));
  // One request: kubectl's own deletions are limited to five a second.
  await node.ok(['delete', '--raw', '/api/v1/namespaces/watched/configmaps?labelSelector=half%3Deven']);
  await holds(range(0, 500).map((i) => 2 * i + 1));
  expect((await held()).names).toHaveLength(501);
});
