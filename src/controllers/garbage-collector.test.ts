import { expect, test } from 'vitest';
import type { ConfigMap } from '#kube/generated/core-v1.ts';
import type { OwnerReference, Stored } from '#kube/object.ts';
import { configMaps, namespaces, secrets } from '#kube/refs.ts';
import { garbageCollector } from './garbage-collector.ts';
import { startCluster, type TestCluster } from './testing.ts';

const make = (
  cluster: TestCluster,
  name: string,
  owners: readonly OwnerReference[] = [],
  namespace = 'default',
): Promise<Stored<ConfigMap>> =>
  cluster.client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, ownerReferences: owners } });

const ownedBy = (owner: Stored<ConfigMap>, blockOwnerDeletion = false): OwnerReference => ({
  apiVersion: 'v1',
  kind: owner.kind,
  name: owner.metadata.name,
  uid: owner.metadata.uid,
  blockOwnerDeletion,
});

const remove = (cluster: TestCluster, name: string, propagationPolicy: 'Background' | 'Foreground' | 'Orphan') =>
  cluster.client.delete(configMaps, { namespace: 'default', name }, { propagationPolicy });

test('background: dependents follow, down to the last generation', async () => {
  await using cluster = await startCluster([garbageCollector]);
  const top = await make(cluster, 'top');
  const middle = await make(cluster, 'middle', [ownedBy(top)]);
  await make(cluster, 'bottom', [ownedBy(middle)]);
  await make(cluster, 'other');
  await cluster.settle();
  await remove(cluster, 'top', 'Background');
  await cluster.settle();
  expect(await cluster.names(configMaps)).toEqual(['other']);
});

test('foreground: the owner waits for the dependents that block it', async () => {
  await using cluster = await startCluster([garbageCollector]);
  const owner = await make(cluster, 'owner');
  await cluster.client.create(configMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'held', namespace: 'default', ownerReferences: [ownedBy(owner, true)], finalizers: ['example.com/hold'] },
  });
  await cluster.settle();
  await remove(cluster, 'owner', 'Foreground');
  await cluster.settle();
  expect((await cluster.get(configMaps, 'owner'))?.metadata.finalizers).toEqual(['foregroundDeletion']);
  expect((await cluster.get(configMaps, 'held'))?.metadata.deletionTimestamp).toBeDefined();
  await cluster.patch(configMaps, 'held', { metadata: { finalizers: null } });
  await cluster.settle();
  expect(await cluster.names(configMaps)).toEqual([]);
});

test('foreground: dependents that do not block are not waited for', async () => {
  await using cluster = await startCluster([garbageCollector]);
  const owner = await make(cluster, 'owner');
  await make(cluster, 'dependent', [ownedBy(owner, false)]);
  await cluster.settle();
  await remove(cluster, 'owner', 'Foreground');
  await cluster.settle();
  expect(await cluster.names(configMaps)).toEqual([]);
});

test('orphan: dependents stay and lose the reference', async () => {
  await using cluster = await startCluster([garbageCollector]);
  const owner = await make(cluster, 'owner');
  await make(cluster, 'dependent', [ownedBy(owner)]);
  await cluster.settle();
  await remove(cluster, 'owner', 'Orphan');
  await cluster.settle();
  expect(await cluster.names(configMaps)).toEqual(['dependent']);
  expect((await cluster.get(configMaps, 'dependent'))?.metadata.ownerReferences ?? []).toEqual([]);
});

test('with one owner left an object stays and loses the reference to the other', async () => {
  await using cluster = await startCluster([garbageCollector]);
  const [a, b] = [await make(cluster, 'a'), await make(cluster, 'b')];
  await make(cluster, 'shared', [ownedBy(a), ownedBy(b)]);
  await cluster.settle();
  await remove(cluster, 'a', 'Background');
  await cluster.settle();
  expect((await cluster.get(configMaps, 'shared'))?.metadata.ownerReferences?.map((o) => o.name)).toEqual(['b']);
  await remove(cluster, 'b', 'Background');
  await cluster.settle();
  expect(await cluster.names(configMaps)).toEqual([]);
});

test('an object made with an owner that does not exist is collected', async () => {
  await using cluster = await startCluster([garbageCollector]);
  await make(cluster, 'stray', [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'never-there', uid: 'none' }]);
  await cluster.settle();
  expect(await cluster.names(configMaps)).toEqual([]);
});

test('an owner of the same name with another uid does not count', async () => {
  await using cluster = await startCluster([garbageCollector]);
  await make(cluster, 'owner');
  await make(cluster, 'stray', [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: 'another' }]);
  await cluster.settle();
  expect(await cluster.names(configMaps)).toEqual(['owner']);
});

test('an owner in another namespace does not count and is reported', async () => {
  await using cluster = await startCluster([garbageCollector]);
  const foreign = await make(cluster, 'owner', [], 'kube-system');
  await cluster.settle();
  await make(cluster, 'stray', [ownedBy(foreign)]);
  await cluster.settle();
  expect(await cluster.names(configMaps)).toEqual([]);
  expect(await cluster.events()).toEqual([
    `OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: default, name: owner, uid: ${foreign.metadata.uid}] does not exist in namespace "default"`,
  ]);
});

test('dependents of another kind and of cluster-scoped owners are collected', async () => {
  await using cluster = await startCluster([garbageCollector]);
  const owner = await cluster.client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'owner' } });
  const ref = { apiVersion: 'v1', kind: 'Namespace', name: 'owner', uid: owner.metadata.uid };
  await cluster.client.create(secrets, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', namespace: 'default', ownerReferences: [ref] },
  });
  await cluster.settle();
  expect(await cluster.names(secrets)).toEqual(['s']);
  await cluster.client.delete(namespaces, { name: 'owner' });
  const { resourceVersion } = await cluster.client.get(namespaces, { name: 'owner' }).then((o) => o.metadata);
  await cluster.client.update(
    namespaces,
    { ...owner, metadata: { ...owner.metadata, resourceVersion }, spec: { finalizers: [] } },
    { subresource: 'finalize' },
  );
  await cluster.settle();
  expect(await cluster.names(secrets)).toEqual([]);
});

test('two that own each other do not keep each other alive in a foreground deletion', async () => {
  await using cluster = await startCluster([garbageCollector]);
  const a = await make(cluster, 'a');
  const b = await make(cluster, 'b', [ownedBy(a, true)]);
  await cluster.patch(configMaps, 'a', { metadata: { ownerReferences: [ownedBy(b, true)] } });
  await cluster.settle();
  await remove(cluster, 'a', 'Foreground');
  await cluster.settle();
  expect(await cluster.names(configMaps)).toEqual([]);
});
