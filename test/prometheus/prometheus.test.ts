/**
 * Debian's Prometheus scrapes the cluster with a service account's token and rights. What there is to scrape is found
 * through the API by discover.py, since Debian builds its Prometheus without kubernetes_sd_configs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { end, eventually } from '../harness/machine.ts';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

const image = {
  name: 'example.test/shop:1',
  files: { '/www/metrics': '# TYPE shop_sales_total counter\nshop_sales_total 42\n' },
  entrypoint: ['/bin/httpd', '-f', '-p', '8080', '-h', '/www'],
};

const cluster = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: prometheus, namespace: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: prometheus}
rules:
- {apiGroups: [""], resources: [nodes, nodes/metrics, services, endpoints, pods], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [nodes/proxy], verbs: [get]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
- {apiGroups: [networking.k8s.io], resources: [ingresses], verbs: [get, list, watch]}
- {nonResourceURLs: [/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: prometheus}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: prometheus}
subjects: [{kind: ServiceAccount, name: prometheus, namespace: shop}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}, annotations: {prometheus.io/scrape: "true"}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: shop, image: "example.test/shop:1", ports: [{name: web, containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: shop, labels: {app: shop}}
spec: {selector: {app: shop}, ports: [{name: web, port: 80, targetPort: web}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec:
  tls: [{hosts: [shop.example.test]}]
  rules:
  - host: shop.example.test
    http: {paths: [{path: /buy, pathType: Prefix, backend: {service: {name: shop, port: {name: web}}}}]}
`;

let scenario: Scenario;
let node: ServerNode;

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('node');
  await node.start();
  await node.nodeReady();
  await node.addImage(image);
  await node.ok(['apply', '-f', '-'], cluster);
  await startPrometheus();
  await node.ok(['-n', 'shop', 'rollout', 'status', 'deployment/shop', '--timeout=60s']);
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

/** Starts a program in the node's network, which ends with the scenario. */
function launch(name: string, log: string, words: readonly string[]): ChildProcess {
  const [enter = '', ...enterArgs] = node.host.enter;
  const file = openSync(log, 'a');
  const child = spawn(enter, [...enterArgs, ...words], { stdio: ['ignore', file, file] });
  closeSync(file);
  scenario.cleanup.add(name, () => end(child, 'SIGTERM'));
  return child;
}

async function startPrometheus(): Promise<void> {
  const folder = join(node.folder, 'prometheus');
  mkdirSync(folder);
  const config = readFileSync(join(import.meta.dirname, 'prometheus.yaml'), 'utf8');
  writeFileSync(join(folder, 'prometheus.yaml'), config.replaceAll('HOST', new URL(node.url).host));
  writeFileSync(join(folder, 'token'), await node.ok(['-n', 'shop', 'create', 'token', 'prometheus']));
  writeFileSync(join(folder, 'ca.crt'), await node.ok(['-n', 'shop', 'get', 'cm', 'kube-root-ca.crt', '-o', 'jsonpath={.data.ca\\.crt}']));
  const log = join(folder, 'log');
  const ca = join(folder, 'ca.crt');
  launch('discovery', log, [
    '/usr/bin/python3',
    '-B',
    join(import.meta.dirname, 'discover.py'),
    node.url,
    join(folder, 'token'),
    ca,
    folder,
  ]);
  const prometheus = launch('prometheus', log, [
    '/usr/bin/prometheus',
    `--config.file=${folder}/prometheus.yaml`,
    `--storage.tsdb.path=${folder}/data`,
    '--web.listen-address=127.0.0.1:9090',
  ]);
  await eventually('Prometheus is ready', async () => {
    if (prometheus.exitCode !== null) throw new Error(readFileSync(log, 'utf8'));
    return (await node.inside('curl', ['-s', 'http://127.0.0.1:9090/-/ready'])).code === 0 ? true : undefined;
  });
}

async function ask<T>(path: string, ...args: string[]): Promise<T> {
  const { stdout } = await node.inside('curl', ['-s', '-G', `http://127.0.0.1:9090/api/v1/${path}`, ...args]);
  return (JSON.parse(stdout) as { readonly data: T }).data;
}

interface Target {
  readonly labels: Readonly<Record<string, string>>;
  readonly discoveredLabels: Readonly<Record<string, string>>;
  readonly health: string;
  readonly lastError: string;
}

const targets = async (job: string): Promise<readonly Target[]> =>
  (await ask<{ readonly activeTargets: readonly Target[] }>('targets')).activeTargets.filter((t) => t.labels['job'] === job);

/** Waits until a job has so many targets and each has been scraped; fails with what was wrong with them. */
const scraped = (job: string, count: number): Promise<readonly Target[]> =>
  eventually(`${job} has ${count} scraped targets`, async () => {
    const found = await targets(job);
    if (found.length === count && found.every((t) => t.health === 'up')) return found;
    throw new Error(JSON.stringify(found.map((t) => [t.health, t.lastError, t.labels])));
  });

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

const query = async (expression: string): Promise<readonly Sample[]> =>
  (await ask<{ readonly result: readonly Sample[] }>('query', '--data-urlencode', `query=${expression}`)).result;

/** Waits until a query has an answer: figures come with the next scrape. */
const answer = (expression: string): Promise<readonly Sample[]> =>
  eventually(expression, async () => {
    const found = await query(expression);
    return found.length > 0 ? found : undefined;
  });

test.each([
  ['apiserver', 1, {}],
  ['kubelet', 1, { kubernetes_io_hostname: 'node', kubernetes_io_os: 'linux' }],
  ['cadvisor', 1, { kubernetes_io_hostname: 'node' }],
  ['resource', 1, {}],
  ['pods', 2, { node: 'node', controller: 'ReplicaSet', pod: expect.stringMatching(/^shop-/) as string }],
  ['endpoints', 2, { ready: 'true', pod: expect.stringMatching(/^shop-/) as string }],
  ['endpointslices', 2, { ready: 'true', pod: expect.stringMatching(/^shop-/) as string }],
  ['services', 1, { service: 'shop' }],
  ['ingresses', 1, { instance: 'https://shop.example.test/buy' }],
] as const)('role of %s: %i target(s) are found and scraped', async (job, count, labels) => {
  for (const target of await scraped(job, count)) expect(target.labels).toMatchObject(labels);
  expect(Number((await answer(`sum(up{job="${job}"})`))[0]?.value[1])).toBe(count);
});

test('the API server, the kubelet and the pods tell figures under the known names', async () => {
  for (const expression of [
    'apiserver_request_total{resource="pods",verb="LIST"} > 0',
    'apiserver_storage_objects{resource="deployments.apps"} == 1',
    'kubelet_running_pods == 2',
    'container_memory_working_set_bytes{job="resource",namespace="shop",container="shop"} > 0',
    'node_cpu_usage_seconds_total > 0',
    'sum by (pod) (shop_sales_total{job="pods"}) == 42',
  ])
    expect(await answer(expression)).not.toEqual([]);
});

/** The pods that a list of label sets names, in order. */
const names = (all: readonly Target['labels'][]): readonly string[] => all.map((l) => l['pod'] ?? '').sort((a, b) => a.localeCompare(b));

test("cAdvisor's figures of a pod's containers have the labels that dashboards join on", async () => {
  const pods = names((await targets('pods')).map((t) => t.labels));
  const of = (name: string, more = ''): string => `${name}{job="cadvisor",namespace="shop"${more}}`;
  const working = await answer(of('container_memory_working_set_bytes', ',container="shop"'));
  expect(names(working.map((s) => s.metric))).toEqual(pods);
  for (const { metric, value } of working) {
    expect(metric).toMatchObject({
      container: 'shop',
      image: 'example.test/shop:1',
      name: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(metric['id']).toMatch(new RegExp(`^/kubepods.*${metric['name']}`));
    expect(Number(value[1])).toBeGreaterThan(0);
  }
  for (const expression of [
    `rate(${of('container_cpu_usage_seconds_total', ',container="shop"')}[10s])`,
    `rate(${of('container_network_receive_bytes_total', ',interface="eth0"')}[10s]) > 0`,
    of('container_fs_usage_bytes', ',container="shop"'),
  ])
    expect(names((await answer(expression)).map((s) => s.metric))).toEqual(pods);
  expect(await answer('machine_cpu_cores > 0')).toHaveLength(1);
});

test('targets follow the pods as they come and go', async () => {
  for (const replicas of [3, 1]) {
    await node.ok(['-n', 'shop', 'scale', 'deployment/shop', `--replicas=${replicas}`]);
    for (const job of ['pods', 'endpoints', 'endpointslices']) expect(await scraped(job, replicas)).toHaveLength(replicas);
  }
});

test('without the right to nodes/proxy the kubelet cannot be scraped, and Prometheus says why', async () => {
  await node.ok(['patch', 'clusterrole', 'prometheus', '--type=json', '-p', '[{"op":"remove","path":"/rules/1"}]']);
  const refused = await eventually('the scrape is refused', async () => (await targets('kubelet')).find((t) => t.health === 'down'));
  expect(refused.lastError).toBe('server returned HTTP status 403 Forbidden');
});
