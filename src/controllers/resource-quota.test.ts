import { expect, test } from 'vitest';
import type { ResourceQuota } from '#kube/generated/core-v1.ts';
import { configMaps, pods, resourceQuotas, services } from '#kube/refs.ts';
import { resourceQuotaController } from './resource-quota.ts';
import { startCluster, type TestCluster } from './testing.ts';

const quota = (name: string, spec: ResourceQuota['spec'] & object): ResourceQuota => ({
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  metadata: { name, namespace: 'default' },
  spec,
});
const pod = (cluster: TestCluster, name: string, more = {}) =>
  cluster.client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: {
      containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '250m', memory: '64Mi' }, limits: { cpu: '1' } } }],
      ...more,
    },
  });
const used = async (cluster: TestCluster, name = 'q') => (await cluster.get(resourceQuotas, name))?.status?.used;

test('a quota shows what is used of each thing it limits', async () => {
  await using cluster = await startCluster([resourceQuotaController]);
  await pod(cluster, 'a');
  await pod(cluster, 'b');
  await cluster.client.create(services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'default' },
    spec: { clusterIP: 'None', ports: [{ port: 80 }] },
  });
  await cluster.client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm', namespace: 'default' } });
  const hard = {
    pods: '10',
    'requests.cpu': '2',
    'requests.memory': '1Gi',
    'limits.cpu': '4',
    services: '5',
    'count/configmaps': '7',
    'count/deployments.apps': '3',
  };
  await cluster.client.create(resourceQuotas, quota('q', { hard }));
  await cluster.settle();
  expect(await cluster.get(resourceQuotas, 'q')).toMatchObject({
    status: {
      hard,
      used: {
        pods: '2',
        'requests.cpu': '500m',
        'requests.memory': '128Mi',
        'limits.cpu': '2',
        services: '1',
        'count/configmaps': '1',
        'count/deployments.apps': '0',
      },
    },
  });
});

test('what ends or is deleted is given back', async () => {
  await using cluster = await startCluster([resourceQuotaController]);
  const a = await pod(cluster, 'a');
  await pod(cluster, 'b');
  await cluster.client.create(resourceQuotas, quota('q', { hard: { pods: '10', 'requests.cpu': '2' } }));
  await cluster.settle();
  await cluster.setPodStatus(a, { phase: 'Succeeded' });
  await cluster.pass(1000);
  expect(await used(cluster)).toEqual({ pods: '1', 'requests.cpu': '250m' });
  await cluster.client.delete(pods, { namespace: 'default', name: 'b' }, { gracePeriodSeconds: 0 });
  await cluster.pass(1000);
  expect(await used(cluster)).toEqual({ pods: '0', 'requests.cpu': '0' });
});

test('scopes choose the pods that count', async () => {
  await using cluster = await startCluster([resourceQuotaController]);
  await pod(cluster, 'short', { activeDeadlineSeconds: 60 });
  await pod(cluster, 'long');
  await cluster.client.create(resourceQuotas, quota('q', { hard: { pods: '10' }, scopes: ['Terminating'] }));
  await cluster.settle();
  expect(await used(cluster)).toEqual({ pods: '1' });
});

test('a changed limit is taken over', async () => {
  await using cluster = await startCluster([resourceQuotaController]);
  await cluster.client.create(resourceQuotas, quota('q', { hard: { pods: '10' } }));
  await cluster.settle();
  await cluster.patch(resourceQuotas, 'q', { spec: { hard: { pods: '20' } } });
  await cluster.settle();
  expect((await cluster.get(resourceQuotas, 'q'))?.status?.hard).toEqual({ pods: '20' });
});
