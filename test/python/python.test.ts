/** Debian's Python client (python3-kubernetes), used as operators use it: the assertions are in the scripts beside this file. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

let scenario: Scenario;
let node: ServerNode;

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('node');
  await node.start();
  await node.nodeReady();
  await node.addImage({ name: 'example.test/tool:1' });
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

/** `-B` leaves no compiled files, `-W ignore` hides the client's own unclosed sockets. */
const python = (module: string) =>
  node.inside('env', [
    '-C',
    import.meta.dirname,
    `KUBECONFIG=${node.kubeconfig}`,
    '/usr/bin/python3',
    ...['-B', '-W', 'ignore', '-m', 'unittest', '-v', module],
  ]);

test.each([
  ['test_objects', 'objects are created, listed, patched and deleted, and rights decide, through the typed clients'],
  ['test_watch', 'watches stream, resume, and say when the history is gone'],
  ['test_workloads', 'workloads roll out, scale, complete and are removed'],
  ['test_streams', 'exec, attach, port-forward, logs and proxies reach a pod'],
  ['test_custom', 'custom resources, the dynamic client with its cache, apply, and YAML files'],
  ['test_election', 'candidates elect a leader, and another when it fails'],
])('%s: %s', async (module) => {
  const result = await python(module);
  expect(result.stderr).toMatch(/\nRan [1-9]\d* tests? in [\s\S]*\nOK\n/);
  expect(result.code).toBe(0);
});
