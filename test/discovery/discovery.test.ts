import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../harness/machine.ts';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

let scenario: Scenario;
let node: ServerNode;

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('server', ['--disable-agent']);
  await node.start();
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

interface Called {
  readonly resource: string;
  readonly verb: string;
  /** Whether there was an object of the resource. */
  readonly exists: boolean;
  readonly code: number;
  readonly message: string;
}

/** The path or the method is not served, or the server has a bug. No node is there to dial for a proxy: that is told with 503. */
const unserved = ({ code, message, resource }: Called): boolean =>
  code === 405 || (code >= 500 && !(code === 503 && resource.endsWith('/proxy'))) || (code === 404 && !/ ".*" not found$/.test(message));

const reads = new Set(['get', 'list', 'watch']);

test('every verb of every resource and subresource in discovery is served', async () => {
  const { code, stdout, stderr } = await node.inside(process.execPath, [join(import.meta.dirname, 'walk.ts'), node.kubeconfig]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const called = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Called);
  expect(called.filter(unserved)).toEqual([]);
  const main = called.filter((c) => reads.has(c.verb) && !c.resource.replace(/^\/apis?\//, '').includes('/status'));
  expect(main.filter((c) => c.exists && c.code !== 200 && !c.resource.endsWith('/proxy'))).toEqual([]);
  expect(called.length).toBeGreaterThan(450);
});

test('kubectl shows how the parts of the control plane are, and that the kind is deprecated', async () => {
  const { stdout } = await eventually('all components are healthy', async () => {
    const answer = await node.kubectl(['get', 'cs']);
    return /Unhealthy/.test(answer.stdout) ? undefined : answer;
  });
  expect(stdout.split('\n').map((line) => line.trim().split(/\s+/))).toEqual([
    ['NAME', 'STATUS', 'MESSAGE', 'ERROR'],
    ['controller-manager', 'Healthy', 'ok'],
    ['etcd-0', 'Healthy', 'ok'],
    ['scheduler', 'Healthy', 'ok'],
    [''],
  ]);
  expect((await node.kubectl(['get', 'componentstatuses'])).stderr).toBe('Warning: v1 ComponentStatus is deprecated in v1.19+\n');
  expect((await node.kubectl(['get', 'endpoints'])).stderr).toBe(
    'Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\n',
  );
});

test('health tells of each check under upstream names, and checks can be left out or asked for alone', async () => {
  const live = await node.ok(['get', '--raw', '/livez?verbose&exclude=etcd']);
  const lines = live.split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      '[+]ping ok',
      '[+]log ok',
      '[+]etcd excluded: ok',
      '[+]poststarthook/rbac/bootstrap-roles ok',
      'livez check passed',
    ]),
  );
  expect(lines).not.toContain('[+]informer-sync ok');
  const ready = await eventually('the server is ready', async () => {
    const { stdout } = await node.kubectl(['get', '--raw', '/readyz?verbose']);
    return stdout.includes('readyz check passed') ? stdout : undefined;
  });
  expect(ready).toMatch(/^\[\+\]ping ok\n\[\+\]log ok\n\[\+\]etcd ok\n\[\+\]etcd-readiness ok\n\[\+\]informer-sync ok\n/);
  expect(await node.ok(['get', '--raw', '/livez/etcd'])).toBe('ok');
});
