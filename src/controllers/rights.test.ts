import { expect, test } from 'vitest';
import {
  configMaps,
  cronJobs,
  daemonSets,
  deployments,
  jobs,
  leases,
  namespaces,
  nodes,
  pods,
  replicationControllers,
  services,
} from '#kube/refs.ts';
import { controllers } from './index.ts';
import { startCluster } from './testing.ts';

const template = { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
const selector = { matchLabels: { app: 'x' } };
const meta = (name: string) => ({ name, namespace: 'shop', labels: { app: 'x' } });

test('every controller does its work with the rights of its service account', async () => {
  await using cluster = await startCluster(controllers, { terminatedPodThreshold: 1 }, { rbac: true });
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
