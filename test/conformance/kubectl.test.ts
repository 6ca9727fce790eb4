/** Upstream's tests of test/e2e/kubectl, with kubectl 1.36 and a node. docs/conformance.md lists them all; test/kubectl has most. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { end, eventually } from '../harness/machine.ts';
import { clientTools } from '../harness/node.ts';
import { useCluster } from './cluster.ts';

const cluster = useCluster();
const { api, namespace } = cluster;
const image = 'example.test/tool:1';

beforeAll(async () => {
  await cluster.node().nodeReady();
  await cluster.node().addImage({ name: image });
});

const json = (value: unknown): string => JSON.stringify(value);
const labels = { app: 'agnhost', role: 'primary' };
/** Serves what it is asked for on port 6379, and says so first. */
const serving = (extra: object = {}) => ({
  terminationGracePeriodSeconds: 0,
  containers: [
    {
      name: 'agnhost-primary',
      image,
      command: ['sh', '-c', 'echo Paused; mkdir -p /www/cgi-bin; echo hello >/www/index.html; exec httpd -f -p 6379 -h /www'],
      ports: [{ name: 'agnhost-server', containerPort: 6379 }],
    },
  ],
  ...extra,
});
const controller = (name: string, replicas: number) => ({
  apiVersion: 'v1',
  kind: 'ReplicationController',
  metadata: { name, labels },
  spec: { replicas, selector: labels, template: { metadata: { labels }, spec: serving() } },
});
const pause = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pause', labels: { name: 'pause' } }, spec: serving() };

/** kubectl in a namespace of one test. */
async function kubectlIn() {
  const ns = await namespace();
  // Pods are refused until their account is there.
  await eventually('the default account is there', async () =>
    (await api.call('GET', ns.in('serviceaccounts', 'default'))).code === 200 ? true : undefined,
  );
  const run = (args: readonly string[], input?: string): Promise<string> => cluster.node().ok(['--namespace', ns.name, ...args], input);
  const create = (object: object): Promise<string> => run(['create', '-f', '-'], json(object));
  const running = async (count: number): Promise<readonly string[]> =>
    eventually(`${count} pods run`, async () => {
      const out = await run([
        'get',
        'pods',
        '-l',
        'app=agnhost',
        '-o',
        'jsonpath={range .items[?(@.status.phase=="Running")]}{.metadata.name}{"\\n"}{end}',
      ]);
      const names = out.split('\n').filter((name) => name !== '');
      const all = (await run(['get', 'pods', '-l', 'app=agnhost', '-o', 'name'])).split('\n').filter((name) => name !== '');
      return names.length === count && all.length === count ? names : undefined;
    });
  return { ns, run, create, running };
}
const inOrder = (...words: readonly string[]): RegExp =>
  new RegExp(words.map((word) => word.replaceAll(/[.*+?^${}()|[\]\\<>]/g, String.raw`\$&`)).join(String.raw`[\s\S]*`));

// Each in a namespace of its own: mostly they wait for pods.
describe.concurrent('Kubectl client', () => {
  test('Kubectl api-versions should check if v1 is in available api versions', async () => {
    const { run } = await kubectlIn();
    expect((await run(['api-versions'])).split('\n')).toContain('v1');
  });

  test('Kubectl cluster-info should check if Kubernetes control plane services is included in cluster-info', async () => {
    const { run } = await kubectlIn();
    expect(await run(['cluster-info'])).toMatch(/Kubernetes control plane.*is running at/);
  });

  test('Kubectl version should check is all data is printed', async () => {
    const { run } = await kubectlIn();
    expect(await run(['version'])).toMatch(/Client Version: v1\.\d+[\s\S]*Server Version: v1\.\d+/);
  });

  test('Kubectl describe should check if kubectl describe prints relevant information for rc and pods', async ({ expect }) => {
    const { ns, run, create, running } = await kubectlIn();
    await create(controller('agnhost-primary', 1));
    await create({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'agnhost-primary', labels },
      spec: { selector: labels, ports: [{ port: 6379, targetPort: 'agnhost-server' }] },
    });
    const [pod = ''] = await running(1);
    expect(await run(['describe', 'pod', pod])).toMatch(
      inOrder(
        'Name:',
        'agnhost-primary-',
        'Namespace:',
        ns.name,
        'Node:',
        'Labels:',
        'app=agnhost',
        'role=primary',
        'Annotations:',
        'Status:',
        'Running',
        'IP:',
        'Controlled By:',
        'ReplicationController/agnhost-primary',
        'Image:',
        image,
        'State:',
        'Running',
        'QoS Class:',
        'BestEffort',
      ),
    );
    await expect
      .poll(() => run(['describe', 'rc', 'agnhost-primary']))
      .toMatch(
        inOrder(
          'Name:',
          'agnhost-primary',
          'Namespace:',
          ns.name,
          'Selector:',
          'app=agnhost,role=primary',
          'Labels:',
          'app=agnhost',
          'role=primary',
          'Annotations:',
          'Replicas:',
          '1 current',
          '1 desired',
          'Pods Status:',
          '1 Running',
          '0 Waiting',
          '0 Succeeded',
          '0 Failed',
          'Pod Template:',
          'Image:',
          image,
          'Events:',
        ),
      );
    expect(await run(['describe', 'service', 'agnhost-primary'])).toMatch(
      inOrder(
        'Name:',
        'agnhost-primary',
        'Namespace:',
        ns.name,
        'Labels:',
        'app=agnhost',
        'role=primary',
        'Annotations:',
        'Selector:',
        'app=agnhost',
        'role=primary',
        'Type:',
        'ClusterIP',
        'IP:',
        'Port:',
        '<unset>',
        '6379/TCP',
        'Endpoints:',
        'Session Affinity:',
        'None',
      ),
    );
    expect(await run(['describe', 'node', 'server'])).toMatch(
      inOrder(
        'Name:',
        'server',
        'Labels:',
        'Annotations:',
        'CreationTimestamp:',
        'Conditions:',
        'Type',
        'Status',
        'LastHeartbeatTime',
        'LastTransitionTime',
        'Reason',
        'Message',
        'Addresses:',
        'Capacity:',
        'Kernel Version:',
        'OS Image:',
        'Container Runtime Version:',
        'Kubelet Version:',
        'Pods:',
      ),
    );
    expect(await run(['describe', 'namespace', ns.name])).toMatch(
      inOrder('Name:', ns.name, 'Labels:', 'Annotations:', 'Status:', 'Active'),
    );
  });

  test('Kubectl diff should check if kubectl diff finds a difference for Deployments', async () => {
    const { ns, create } = await kubectlIn();
    const httpd = (of: string) => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'httpd' },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'httpd', image: of }] } },
      },
    });
    await create(httpd('example.test/httpd:1'));
    const { code, stdout } = await cluster
      .node()
      .kubectl(['diff', '--namespace', ns.name, '-f', '-'], json(httpd('example.test/busybox:1')));
    expect({ code, stdout }).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/-\s+- image: example\.test\/httpd:1\n\+\s+- image: example\.test\/busybox:1/) as string,
    });
  });

  test('Kubectl expose should create services for rc', async () => {
    const { ns, run, create, running } = await kubectlIn();
    await create(controller('agnhost-primary', 1));
    await running(1);
    const served = (name: string): Promise<unknown> =>
      eventually(`${name} has endpoints`, async () => {
        const { subsets } = await api.get<{ subsets?: readonly { addresses?: readonly unknown[]; ports: readonly { port: number }[] }[] }>(
          ns.in('endpoints', name),
        );
        return subsets?.[0]?.addresses === undefined ? undefined : subsets[0].ports.map((p) => p.port);
      });
    await run(['expose', 'rc', 'agnhost-primary', '--name=rm2', '--port=1234', '--target-port=6379']);
    await run(['expose', 'service', 'rm2', '--name=rm3', '--port=2345', '--target-port=6379']);
    for (const [name, port] of [
      ['rm2', 1234],
      ['rm3', 2345],
    ] as const) {
      expect(await api.get(ns.in('services', name))).toMatchObject({ spec: { ports: [{ port, targetPort: 6379 }] } });
      expect(await served(name)).toEqual([6379]);
    }
  });

  test('Kubectl label should update the label on a resource', async () => {
    const { run, create } = await kubectlIn();
    await create(pause);
    await run(['label', 'pods', 'pause', 'testing-label=testing-label-value']);
    expect(await run(['get', 'pod', 'pause', '-L', 'testing-label'])).toContain('testing-label-value');
    await run(['label', 'pods', 'pause', 'testing-label-']);
    expect(await run(['get', 'pod', 'pause', '-L', 'testing-label'])).not.toContain('testing-label-value');
  });

  test('Kubectl patch should add annotations for pods in rc', async () => {
    const { ns, run, create, running } = await kubectlIn();
    await create(controller('agnhost-primary', 1));
    const [pod = ''] = await running(1);
    await run(['patch', 'pod', pod, '-p', '{"metadata":{"annotations":{"x":"y"}}}']);
    expect((await api.get(ns.in('pods', pod))).metadata.annotations?.['x']).toBe('y');
  });

  test("Kubectl replace should update a single-container pod's image", async () => {
    const { ns, run } = await kubectlIn();
    await run(['run', 'e2e-test-httpd-pod', `--image=${image}`, '--labels=run=e2e-test-httpd-pod', '--', 'sleep', '1000']);
    await run(['wait', 'pod/e2e-test-httpd-pod', '--for=condition=Ready', '--timeout=60s']);
    const read = await run(['get', 'pod', 'e2e-test-httpd-pod', '-o', 'json']);
    await run(['replace', '-f', '-'], read.replaceAll(`"image": "${image}"`, '"image": "example.test/other:1"'));
    expect(await api.get(ns.in('pods', 'e2e-test-httpd-pod'))).toMatchObject({ spec: { containers: [{ image: 'example.test/other:1' }] } });
  });

  test('Kubectl run pod should create a pod from an image when restart is Never', async () => {
    const { ns, run } = await kubectlIn();
    await run(['run', 'e2e-test-httpd-pod', '--restart=Never', '--pod-running-timeout=2m0s', `--image=${image}`]);
    expect(await api.get(ns.in('pods', 'e2e-test-httpd-pod'))).toMatchObject({ spec: { restartPolicy: 'Never', containers: [{ image }] } });
  });

  test('Kubectl server-side dry-run should check if kubectl can dry-run update Pods', async () => {
    const { ns, run } = await kubectlIn();
    await run(['run', 'e2e-test-httpd-pod', `--image=${image}`, '--pod-running-timeout=2m0s', '--labels=run=e2e-test-httpd-pod']);
    const patch = json({ spec: { containers: [{ name: 'e2e-test-httpd-pod', image: 'example.test/other:1' }] } });
    expect(await run(['patch', 'pod', 'e2e-test-httpd-pod', '-p', patch, '--dry-run=server'])).toBe('pod/e2e-test-httpd-pod patched\n');
    expect(await api.get(ns.in('pods', 'e2e-test-httpd-pod'))).toMatchObject({ spec: { containers: [{ image }] } });
  });

  test('Update Demo should create and stop a replication controller', async () => {
    const { run, create, running } = await kubectlIn();
    await create(controller('update-demo-nautilus', 2));
    expect(await running(2)).toHaveLength(2);
    await run(['delete', '--grace-period=0', '--force', 'rc', 'update-demo-nautilus']);
    expect(await running(0)).toEqual([]);
  });

  test('Update Demo should scale a replication controller', async () => {
    const { run, create, running } = await kubectlIn();
    await create(controller('update-demo-nautilus', 2));
    await running(2);
    await run(['scale', 'rc', 'update-demo-nautilus', '--replicas=1', '--timeout=5m']);
    await running(1);
    await run(['scale', 'rc', 'update-demo-nautilus', '--replicas=2', '--timeout=5m']);
    expect(await running(2)).toHaveLength(2);
  });

  test('Guestbook application should create and stop a working application', async ({ expect }) => {
    // Upstream's guestbook is an image of its own; a frontend that reads from a backend by its service's address is what it shows.
    const { ns, run, create, running } = await kubectlIn();
    await create(controller('agnhost-primary', 1));
    await create({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'primary' }, spec: { selector: labels, ports: [{ port: 6379 }] } });
    await running(1);
    const { spec } = await api.get<{ spec: { clusterIP: string } }>(ns.in('services', 'primary'));
    await run([
      'run',
      'frontend',
      `--image=${image}`,
      '--restart=Never',
      '--',
      'sh',
      '-c',
      `until wget -q -O - http://${spec.clusterIP}:6379/index.html; do :; done`,
    ]);
    await expect.poll(() => run(['logs', 'frontend']).catch(() => ''), { timeout: 60_000 }).toBe('hello\n');
    await run(['delete', 'rc/agnhost-primary', 'service/primary', 'pod/frontend', '--now']);
    expect(await running(0)).toEqual([]);
  });
});

describe('Proxy server', () => {
  /** Starts kubectl proxy in the node's network; what it says first. */
  async function proxy(...args: readonly string[]) {
    const [enter = '', ...enterArgs] = cluster.node().host.enter;
    const child = spawn(enter, [...enterArgs, clientTools().kubectl, `--kubeconfig=${cluster.node().kubeconfig}`, 'proxy', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return { said: line.toString('utf8'), [Symbol.asyncDispose]: () => end(child, 'SIGTERM') };
  }

  test('should support proxy with --port 0', async () => {
    await using running = await proxy('-p', '0', '--disable-filter');
    const port = /Starting to serve on 127\.0\.0\.1:(\d+)/.exec(running.said)?.[1] ?? '';
    const { stdout } = await cluster.node().inside('curl', ['-s', `http://127.0.0.1:${port}/api/`]);
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
  });

  test('should support --unix-socket=/path', async () => {
    const socket = join(cluster.node().folder, 'proxy.sock');
    await using running = await proxy(`--unix-socket=${socket}`);
    expect(running.said).toContain(socket);
    const { stdout } = await cluster.node().inside('curl', ['-s', '--unix-socket', socket, 'http://localhost/api/']);
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
  });
});

describe('Kubectl logs', () => {
  test('logs should be able to retrieve and filter logs', async () => {
    const { run } = await kubectlIn();
    const script = 'i=0; while [ $i -lt 100 ]; do echo "$i GET /api/v1/namespaces/kube-system"; i=$((i+1)); done; exec sleep 1000';
    await run(['run', 'logs-generator', `--image=${image}`, '--restart=Never', '--', 'sh', '-c', script]);
    const logs = (...args: readonly string[]): Promise<string> => run(['logs', 'logs-generator', ...args]);
    await expect.poll(() => logs().catch(() => ''), { timeout: 60_000 }).toMatch(/\n99 GET \/api\/v1\/namespaces\/kube-system\n$/);
    expect(await logs('logs-generator', '--tail=1')).toBe('99 GET /api/v1/namespaces/kube-system\n');
    expect(await logs('logs-generator', '--limit-bytes=1')).toBe('0');
    const [stamp = '', ...rest] = (await logs('logs-generator', '--tail=1', '--timestamps')).trimEnd().split(' ');
    expect(stamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
    expect(rest.join(' ')).toBe('99 GET /api/v1/namespaces/kube-system');
    expect((await logs('logs-generator', '--since=24h')).split('\n')).toHaveLength(101);
    await eventually('a second has passed', async () => ((await logs('logs-generator', '--since=1s')) === '' ? true : undefined));
  });
});
