import { expect, test } from 'vitest';
import {
  configMaps,
  cronJobs,
  daemonSets,
  deployments,
  endpoints,
  jobs,
  leases,
  namespaces,
  nodes,
  persistentVolumes,
  podDisruptionBudgets,
  pods,
  replicationControllers,
  resourceQuotas,
  secrets,
  serviceAccounts,
  services,
  statefulSets,
} from '#kube/refs.ts';
import { controllers } from './index.ts';
import { startCluster, type TestCluster } from './testing.ts';

const template = { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
const selector = { matchLabels: { app: 'x' } };
const meta = (name: string) => ({ name, namespace: 'shop', labels: { app: 'x' } });

async function makeTheRest({ client }: TestCluster): Promise<void> {
  const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName: '' };
  await client.create(statefulSets, {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: meta('db'),
    spec: {
      replicas: 1,
      serviceName: 'db',
      selector,
      template,
      volumeClaimTemplates: [{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data' }, spec: claim }],
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Delete' },
    },
  });
  await client.create(persistentVolumes, {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'disk' },
    spec: { capacity: { storage: '2Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } },
  });
  await client.create(podDisruptionBudgets, {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: meta('pdb'),
    spec: { selector, maxUnavailable: 1 },
  });
  await client.create(resourceQuotas, {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: meta('quota'),
    spec: { hard: { pods: '100', 'count/deployments.apps': '10', services: '5' } },
  });
  await client.create(services, { apiVersion: 'v1', kind: 'Service', metadata: meta('manual'), spec: { ports: [{ port: 80 }] } });
  await client.create(endpoints, {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: meta('manual'),
    subsets: [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 80 }] }],
  });
  await client.create(secrets, {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/service-account-token',
    metadata: { ...meta('token'), annotations: { 'kubernetes.io/service-account.name': 'default' } },
  });
  await client.create(serviceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta('more') });
}

const legacyToken = async (): Promise<string> => await Promise.resolve('token');

test('every controller does its work with the rights of its service account', async () => {
  await using cluster = await startCluster(controllers, { terminatedPodThreshold: 1, legacyToken }, { rbac: true });
  const { client } = cluster;
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-node-lease' } });
  for (const name of ['a', 'b'])
    await client.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'kubernetes.io/os': 'linux' } } });
  await client.create(leases, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'a', namespace: 'kube-node-lease' },
    spec: {},
  });
  await client.create(deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: meta('web'),
    spec: { replicas: 2, selector, template },
  });
  await client.create(daemonSets, { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: meta('agent'), spec: { selector, template } });
  await client.create(replicationControllers, {
    apiVersion: 'v1',
    kind: 'ReplicationController',
    metadata: meta('rc'),
    spec: { replicas: 1, selector: { app: 'x' }, template },
  });
  const once = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };
  await client.create(jobs, {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: meta('job'),
    spec: { template: once, ttlSecondsAfterFinished: 5 },
  });
  await client.create(cronJobs, {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: meta('cron'),
    spec: { schedule: '* * * * *', jobTemplate: { spec: { template: once } } },
  });
  await client.create(services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta('svc'),
    spec: { selector: { app: 'x' }, ports: [{ port: 80 }] },
  });
  await client.create(configMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...meta('stray'), ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'gone', uid: 'gone' }] },
  });
  await makeTheRest(cluster);
  await cluster.settle();
  await cluster.runPods();
  await cluster.pass(70_000);
  for (const pod of await cluster.list(pods, 'shop'))
    if (pod.metadata.labels?.['job-name'] !== undefined) await cluster.setPodStatus(pod, { phase: 'Succeeded' });
  await cluster.pass(70_000);
  await client.delete(nodes, { name: 'b' });
  await cluster.pass(70_000);
  await client.delete(deployments, { namespace: 'shop', name: 'web' }, { propagationPolicy: 'Foreground' });
  await cluster.settle();
  await cluster.runPods();
  await client.delete(namespaces, { name: 'shop' });
  for (let i = 0; i < 10; i++) {
    await cluster.runPods();
    await cluster.pass(20_000);
  }
  expect(cluster.log.filter((line) => /forbidden/i.test(line))).toEqual([]);
  expect(await cluster.get(namespaces, 'shop')).toBeUndefined();
});

test('a cluster at rest stays at rest: the controllers ask and write nothing', async () => {
  await using cluster = await startCluster(controllers, { legacyToken });
  const { client } = cluster;
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  await client.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'a', labels: { 'kubernetes.io/os': 'linux' } } });
  await cluster.settle();
  const fresh = await client.get(nodes, { name: 'a' });
  await client.update(nodes, { ...fresh, status: { conditions: [{ type: 'Ready', status: 'False' }] } }, { subresource: 'status' });
  await client.create(deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: meta('web'),
    spec: { replicas: 2, selector, template },
  });
  await client.create(services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta('svc'),
    spec: { selector: { app: 'x' }, ports: [{ port: 80 }] },
  });
  await makeTheRest(cluster);
  for (let i = 0; i < 5; i++) {
    await cluster.runPods();
    await cluster.pass(60_000);
  }
  cluster.calls.splice(0);
  // Less than an hour altogether: then the API server forgets the events, which counts as writing.
  for (let i = 0; i < 50; i++) await cluster.pass(60_000);
  expect(cluster.calls).toEqual([]);
});
