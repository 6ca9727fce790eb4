import { expect, test } from 'vitest';
import type { Service } from '#kube/generated/core-v1.ts';
import type { EndpointSlice } from '#kube/generated/discovery-v1.ts';
import type { Stored } from '#kube/object.ts';
import { endpointSlices, endpoints, nodes, pods, services } from '#kube/refs.ts';
import { endpointSliceController } from './endpoint-slice.ts';
import { planSlices } from './endpoint-slice-reconcile.ts';
import { endpointsController } from './endpoints.ts';
import { startCluster, type TestCluster } from './testing.ts';

const both = [endpointSliceController, endpointsController];

const service = (spec: Partial<Service['spec'] & object> = {}): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default', labels: { team: 'a' } },
  spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], clusterIP: '10.43.0.5', ...spec },
});

async function pod(cluster: TestCluster, name: string, ip: string, ready = true, port = 8080): Promise<void> {
  const made = await cluster.client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: 'web' } },
    spec: {
      nodeName: 'n1',
      hostname: name,
      subdomain: 'web',
      containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort: port }] }],
    },
  });
  await cluster.setPodStatus(made, {
    phase: 'Running',
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: '2026-01-01T00:00:00Z' }],
  });
}

async function start(): Promise<TestCluster> {
  const cluster = await startCluster(both);
  await cluster.client.create(nodes, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'z1' } },
  });
  return cluster;
}

test('a slice names the pods with address, conditions, node, zone and named port', async () => {
  await using cluster = await start();
  await pod(cluster, 'a', '10.42.0.2');
  await pod(cluster, 'b', '10.42.0.3', false);
  await cluster.client.create(services, service());
  await cluster.settle();
  const [slice, ...others] = await cluster.list(endpointSlices);
  expect(others).toEqual([]);
  expect(slice?.metadata).toMatchObject({
    labels: {
      team: 'a',
      'kubernetes.io/service-name': 'web',
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
    },
    ownerReferences: [{ kind: 'Service', name: 'web', controller: true, blockOwnerDeletion: true }],
  });
  expect(slice?.metadata.name).toMatch(/^web-[a-z0-9]{5}$/);
  expect(slice?.ports).toEqual([{ name: 'http', protocol: 'TCP', port: 8080 }]);
  const byName = [...(slice?.endpoints ?? [])].sort((x, y) => ((x.targetRef?.name ?? '') < (y.targetRef?.name ?? '') ? -1 : 1));
  expect(byName).toMatchObject([
    {
      addresses: ['10.42.0.2'],
      conditions: { ready: true, serving: true, terminating: false },
      hostname: 'a',
      nodeName: 'n1',
      zone: 'z1',
      targetRef: { kind: 'Pod', name: 'a' },
    },
    { addresses: ['10.42.0.3'], conditions: { ready: false, serving: false, terminating: false } },
  ]);
});

test('Endpoints hold ready and other addresses, with the label of their maker', async () => {
  await using cluster = await start();
  await pod(cluster, 'a', '10.42.0.2');
  await pod(cluster, 'b', '10.42.0.3', false);
  await cluster.client.create(services, service());
  await cluster.settle();
  expect(await cluster.get(endpoints, 'web')).toMatchObject({
    metadata: { labels: { team: 'a', 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' } },
    subsets: [
      {
        addresses: [{ ip: '10.42.0.2', hostname: 'a', nodeName: 'n1', targetRef: { name: 'a' } }],
        notReadyAddresses: [{ ip: '10.42.0.3' }],
        ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      },
    ],
  });
});

test('ports that some pods lack make subsets and slices of their own', async () => {
  await using cluster = await start();
  await pod(cluster, 'a', '10.42.0.2', true, 8080);
  await pod(cluster, 'b', '10.42.0.3', true, 9090);
  await cluster.client.create(services, service());
  await cluster.settle();
  expect((await cluster.get(endpoints, 'web'))?.subsets?.map((s) => [s.addresses?.map((a) => a.ip), s.ports?.map((p) => p.port)])).toEqual([
    [['10.42.0.2'], [8080]],
    [['10.42.0.3'], [9090]],
  ]);
  expect((await cluster.list(endpointSlices)).length).toBe(2);
});

test('a pod that is being deleted is terminating in the slice and gone from Endpoints', async () => {
  await using cluster = await start();
  await pod(cluster, 'a', '10.42.0.2');
  await cluster.client.create(services, service());
  await cluster.settle();
  await cluster.client.delete(pods, { namespace: 'default', name: 'a' });
  await cluster.settle();
  const [slice] = await cluster.list(endpointSlices);
  expect(slice?.endpoints?.[0]?.conditions).toEqual({ ready: false, serving: true, terminating: true });
  expect((await cluster.get(endpoints, 'web'))?.subsets ?? []).toEqual([]);
  await cluster.runPods();
  expect((await cluster.list(endpointSlices))[0]?.endpoints ?? []).toEqual([]);
});

test('publishNotReadyAddresses makes every address ready; headless services say so in a label', async () => {
  await using cluster = await start();
  await pod(cluster, 'a', '10.42.0.2', false);
  await cluster.client.create(services, service({ clusterIP: 'None', publishNotReadyAddresses: true }));
  await cluster.settle();
  const [slice] = await cluster.list(endpointSlices);
  expect(slice?.metadata.labels?.['service.kubernetes.io/headless']).toBe('');
  expect(slice?.endpoints?.[0]?.conditions).toEqual({ ready: true, serving: false, terminating: false });
  expect((await cluster.get(endpoints, 'web'))?.subsets?.[0]?.addresses?.length).toBe(1);
});

test('a service without pods has one empty slice; one without a selector has none', async () => {
  await using cluster = await start();
  await cluster.client.create(services, service());
  const { selector: _none, ...spec } = service().spec ?? {};
  await cluster.client.create(services, {
    ...service(),
    metadata: { name: 'external', namespace: 'default' },
    spec: { ...spec, clusterIP: '10.43.0.6' },
  });
  await cluster.settle();
  const slices = await cluster.list(endpointSlices);
  expect(slices.map((s) => s.metadata.labels?.['kubernetes.io/service-name'])).toEqual(['web']);
  expect(slices[0]?.endpoints ?? []).toEqual([]);
  expect(await cluster.names(endpoints)).toEqual(['web']);
});

test('what is settled is not written again', async () => {
  await using cluster = await start();
  await pod(cluster, 'a', '10.42.0.2');
  await cluster.client.create(services, service());
  await cluster.settle();
  const versions = async () =>
    [...(await cluster.list(endpointSlices)), ...(await cluster.list(endpoints))].map((o) => o.metadata.resourceVersion);
  const before = await versions();
  await cluster.patch(services, 'web', { metadata: { annotations: { note: 'x' } } });
  await cluster.pass(3_600_000);
  expect(await versions()).toEqual(before);
});

test('Endpoints of a deleted service are deleted', async () => {
  await using cluster = await start();
  await cluster.client.create(services, service());
  await cluster.settle();
  await cluster.client.delete(services, { namespace: 'default', name: 'web' });
  await cluster.settle();
  expect(await cluster.names(endpoints)).toEqual([]);
});

const group = (count: number) => ({
  addressType: 'IPv4' as const,
  ports: [{ name: '', port: 80, protocol: 'TCP' }],
  endpoints: Array.from({ length: count }, (_, i) => ({ addresses: [`10.0.0.${i}`] })),
});
const writer = { metadata: { generateName: 'web-', namespace: 'default', labels: {}, ownerReferences: [] }, maxPerSlice: 100 };
const stored = (slices: readonly EndpointSlice[]): readonly Stored<EndpointSlice>[] =>
  slices.map((s, i) => ({
    ...s,
    metadata: { ...s.metadata, name: `web-${i}`, uid: `${i}`, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
  }));

test('250 endpoints make slices of at most 100, and one more endpoint changes one slice', () => {
  const first = planSlices(writer, [], [group(250)]);
  expect(first.creates.map((s) => s.endpoints?.length)).toEqual([100, 100, 50]);
  const next = planSlices(writer, stored(first.creates), [group(251)]);
  expect([next.creates.length, next.updates.length, next.deletes.length]).toEqual([0, 1, 0]);
  expect(next.updates[0]?.endpoints?.length).toBe(51);
  const fewer = planSlices(writer, stored(first.creates), [group(100)]);
  expect([fewer.creates.length, fewer.updates.length, fewer.deletes.length]).toEqual([0, 0, 2]);
});
