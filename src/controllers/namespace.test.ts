import { expect, test } from 'vitest';
import { apiServices, configMaps, namespaces, pods, serviceAccounts } from '#kube/refs.ts';
import { namespaceController } from './namespace.ts';
import { rootCaController } from './root-ca.ts';
import { serviceAccountController } from './service-account.ts';
import { startCluster, testConfig } from './testing.ts';

const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
const configMap = (name: string, finalizers: readonly string[] = []) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'shop', finalizers },
});

test('every namespace gets the service account default, and gets it again when it is deleted', async () => {
  await using cluster = await startCluster([serviceAccountController]);
  await cluster.client.create(namespaces, namespace('shop'));
  await cluster.settle();
  for (const name of ['default', 'kube-system', 'shop']) expect(await cluster.names(serviceAccounts, name)).toEqual(['default']);
  await cluster.client.delete(serviceAccounts, { namespace: 'shop', name: 'default' });
  await cluster.settle();
  expect(await cluster.names(serviceAccounts, 'shop')).toEqual(['default']);
});

test('every namespace has kube-root-ca.crt, whatever is done to it', async () => {
  await using cluster = await startCluster([rootCaController]);
  const get = () => cluster.get(configMaps, 'kube-root-ca.crt');
  expect((await get())?.data).toEqual({ 'ca.crt': testConfig.rootCa });
  expect((await get())?.metadata.annotations?.['kubernetes.io/description']).toMatch(/^Contains a CA bundle/);
  await cluster.patch(configMaps, 'kube-root-ca.crt', { data: { 'ca.crt': 'changed', more: 'x' } });
  await cluster.settle();
  expect((await get())?.data).toEqual({ 'ca.crt': testConfig.rootCa });
  await cluster.client.delete(configMaps, { namespace: 'default', name: 'kube-root-ca.crt' });
  await cluster.settle();
  expect(await get()).toBeDefined();
});

test('a deleted namespace is emptied and goes away', async () => {
  await using cluster = await startCluster([namespaceController, serviceAccountController, rootCaController]);
  await cluster.client.create(namespaces, namespace('shop'));
  await cluster.settle();
  for (let i = 0; i < 20; i++) await cluster.client.create(configMaps, configMap(`map-${i}`));
  await cluster.client.delete(namespaces, { name: 'shop' });
  await cluster.settle();
  expect(await cluster.get(namespaces, 'shop')).toBeUndefined();
  expect(await cluster.list(configMaps, 'shop')).toEqual([]);
  expect(await cluster.list(serviceAccounts, 'shop')).toEqual([]);
});

test('what a finalizer holds back is named in the conditions, and waited for', async () => {
  await using cluster = await startCluster([namespaceController]);
  await cluster.client.create(namespaces, namespace('shop'));
  await cluster.client.create(configMaps, configMap('held', ['example.com/hold']));
  await cluster.client.delete(namespaces, { name: 'shop' });
  await cluster.settle();
  const held = await cluster.get(namespaces, 'shop');
  const message = (type: string) => held?.status?.conditions?.find((c) => c.type === type);
  expect(held?.status?.phase).toBe('Terminating');
  expect(message('NamespaceContentRemaining')).toMatchObject({
    status: 'True',
    reason: 'SomeResourcesRemain',
    message: 'Some resources are remaining: configmaps. has 1 resource instances',
  });
  expect(message('NamespaceFinalizersRemaining')).toMatchObject({
    status: 'True',
    reason: 'SomeFinalizersRemain',
    message: 'Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances',
  });
  expect(message('NamespaceDeletionContentFailure')).toMatchObject({ status: 'False', reason: 'ContentDeleted' });
  await cluster.client.patch(configMaps, { namespace: 'shop', name: 'held' }, 'merge', { metadata: { finalizers: null } });
  await cluster.pass(16_000);
  expect(await cluster.get(namespaces, 'shop')).toBeUndefined();
});

test('pods go before what they use', async () => {
  await using cluster = await startCluster([namespaceController]);
  await cluster.client.create(namespaces, namespace('shop'));
  await cluster.client.create(configMaps, configMap('settings'));
  await cluster.client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', finalizers: ['example.com/hold'] },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  });
  await cluster.client.delete(namespaces, { name: 'shop' });
  await cluster.settle();
  expect(await cluster.names(configMaps, 'shop')).toEqual(['settings']);
  await cluster.client.patch(pods, { namespace: 'shop', name: 'web' }, 'merge', { metadata: { finalizers: null } });
  await cluster.runPods();
  await cluster.pass(16_000);
  expect(await cluster.get(namespaces, 'shop')).toBeUndefined();
});

test('a group whose server cannot be asked holds a namespace back, whose contents go all the same', async () => {
  await using cluster = await startCluster([namespaceController]);
  const name = 'v1beta1.metrics.example.test';
  await cluster.client.create(apiServices, {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name },
    spec: {
      group: 'metrics.example.test',
      version: 'v1beta1',
      service: { namespace: 'default', name: 'nowhere' },
      groupPriorityMinimum: 100,
      versionPriority: 100,
    },
  });
  await cluster.client.create(namespaces, namespace('shop'));
  await cluster.client.create(configMaps, configMap('map'));
  await cluster.client.delete(namespaces, { name: 'shop' });
  await cluster.settle();
  const conditions = (await cluster.get(namespaces, 'shop'))?.status?.conditions;
  expect(conditions?.find((c) => c.type === 'NamespaceDeletionDiscoveryFailure')).toMatchObject({
    status: 'True',
    reason: 'DiscoveryFailed',
    message:
      'Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: metrics.example.test/v1beta1: stale GroupVersion discovery: metrics.example.test/v1beta1',
  });
  expect(await cluster.list(configMaps, 'shop')).toEqual([]);
  await cluster.client.delete(apiServices, { name });
  await cluster.pass(60_000);
  expect(await cluster.get(namespaces, 'shop')).toBeUndefined();
});
