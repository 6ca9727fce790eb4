import { expect, test } from 'vitest';
import type { PersistentVolume, PersistentVolumeClaim } from '#kube/generated/core-v1.ts';
import { persistentVolumeClaims, persistentVolumes, pods, storageClasses } from '#kube/refs.ts';
import { startCluster, type TestCluster } from './testing.ts';
import { volumeBinderController } from './volume-binder.ts';
import { claimProtectionController, volumeProtectionController } from './volume-protection.ts';

const all = [volumeBinderController, claimProtectionController, volumeProtectionController];

const volume = (name: string, storage: string, more: Partial<PersistentVolume['spec'] & object> = {}): PersistentVolume => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name },
  spec: {
    capacity: { storage },
    accessModes: ['ReadWriteOnce'],
    hostPath: { path: `/data/${name}` },
    persistentVolumeReclaimPolicy: 'Retain',
    ...more,
  },
});
const claim = (name: string, storage: string, more: Partial<PersistentVolumeClaim['spec'] & object> = {}): PersistentVolumeClaim => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace: 'default' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } }, storageClassName: '', ...more },
});
const state = async (cluster: TestCluster, name: string) => {
  const found = await cluster.get(persistentVolumeClaims, name);
  return `${found?.status?.phase} ${found?.spec?.volumeName ?? ''}`.trim();
};

test('a claim is bound to the smallest volume that suits, whichever comes first', async () => {
  await using cluster = await startCluster(all);
  await cluster.client.create(persistentVolumeClaims, claim('data', '5Gi'));
  await cluster.settle();
  expect(await state(cluster, 'data')).toBe('Pending');
  for (const [name, size] of [
    ['big', '100Gi'],
    ['fits', '6Gi'],
    ['small', '1Gi'],
  ] as const)
    await cluster.client.create(persistentVolumes, volume(name, size));
  await cluster.settle();
  const bound = await cluster.get(persistentVolumeClaims, 'data');
  expect(bound?.status).toMatchObject({ phase: 'Bound', accessModes: ['ReadWriteOnce'] });
  expect(bound?.metadata.annotations?.['pv.kubernetes.io/bind-completed']).toBe('yes');
  const chosen = await cluster.get(persistentVolumes, bound?.spec?.volumeName ?? '');
  expect(chosen?.spec?.claimRef).toMatchObject({ namespace: 'default', name: 'data', uid: bound?.metadata.uid });
  expect(chosen?.status?.phase).toBe('Bound');
  await cluster.client.create(persistentVolumeClaims, claim('more', '5Gi'));
  await cluster.settle();
  expect((await state(cluster, 'more')).startsWith('Bound')).toBe(true);
  expect((await cluster.get(persistentVolumes, 'small'))?.status?.phase).toBe('Available');
});

test('class, access mode and volume mode must agree', async () => {
  await using cluster = await startCluster(all);
  await cluster.client.create(persistentVolumes, volume('a', '10Gi', { storageClassName: 'fast' }));
  await cluster.client.create(persistentVolumes, volume('b', '10Gi', { accessModes: ['ReadOnlyMany'] }));
  await cluster.client.create(persistentVolumes, volume('c', '10Gi', { volumeMode: 'Block' }));
  await cluster.client.create(persistentVolumeClaims, claim('data', '5Gi'));
  await cluster.settle();
  expect(await state(cluster, 'data')).toBe('Pending');
  expect((await cluster.events()).some((e) => e.startsWith('FailedBinding: no persistent volumes available'))).toBe(true);
});

test('a released volume is not given to anybody else', async () => {
  await using cluster = await startCluster(all);
  await cluster.client.create(persistentVolumes, volume('a', '10Gi'));
  await cluster.client.create(persistentVolumeClaims, claim('data', '5Gi'));
  await cluster.settle();
  await cluster.client.delete(persistentVolumeClaims, { namespace: 'default', name: 'data' });
  await cluster.settle();
  expect(await cluster.names(persistentVolumeClaims)).toEqual([]);
  expect((await cluster.get(persistentVolumes, 'a'))?.status?.phase).toBe('Released');
  await cluster.client.create(persistentVolumeClaims, claim('other', '5Gi'));
  await cluster.settle();
  expect(await state(cluster, 'other')).toBe('Pending');
});

test('a claim that has lost its volume says so', async () => {
  await using cluster = await startCluster([volumeBinderController]);
  await cluster.client.create(persistentVolumes, volume('a', '10Gi'));
  await cluster.client.create(persistentVolumeClaims, claim('data', '5Gi'));
  await cluster.settle();
  await cluster.client.patch(persistentVolumes, { name: 'a' }, 'merge', { metadata: { finalizers: null } });
  await cluster.client.delete(persistentVolumes, { name: 'a' });
  await cluster.settle();
  expect(await state(cluster, 'data')).toBe('Lost a');
});

test('claims of a class with a provisioner call for it; with WaitForFirstConsumer only once a node is chosen', async () => {
  await using cluster = await startCluster(all);
  const storageClass = (name: string, volumeBindingMode: string) => ({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name },
    provisioner: 'example.com/disk',
    volumeBindingMode,
  });
  await cluster.client.create(storageClasses, storageClass('now', 'Immediate'));
  await cluster.client.create(storageClasses, storageClass('later', 'WaitForFirstConsumer'));
  await cluster.client.create(persistentVolumeClaims, claim('a', '5Gi', { storageClassName: 'now' }));
  await cluster.client.create(persistentVolumeClaims, claim('b', '5Gi', { storageClassName: 'later' }));
  await cluster.settle();
  const provisioner = async (name: string) =>
    (await cluster.get(persistentVolumeClaims, name))?.metadata.annotations?.['volume.kubernetes.io/storage-provisioner'];
  expect([await provisioner('a'), await provisioner('b')]).toEqual(['example.com/disk', undefined]);
  await cluster.patch(persistentVolumeClaims, 'b', { metadata: { annotations: { 'volume.kubernetes.io/selected-node': 'n1' } } });
  await cluster.settle();
  expect(await provisioner('b')).toBe('example.com/disk');
});

test('a claim in use by a pod stays until the pod is gone', async () => {
  await using cluster = await startCluster(all);
  await cluster.client.create(persistentVolumeClaims, claim('data', '5Gi'));
  await cluster.client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      nodeName: 'n1',
      containers: [{ name: 'c', image: 'i' }],
      volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }],
    },
  });
  await cluster.settle();
  await cluster.client.delete(persistentVolumeClaims, { namespace: 'default', name: 'data' });
  await cluster.settle();
  expect((await cluster.get(persistentVolumeClaims, 'data'))?.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection']);
  await cluster.client.delete(pods, { namespace: 'default', name: 'web' }, { gracePeriodSeconds: 0 });
  await cluster.settle();
  expect(await cluster.names(persistentVolumeClaims)).toEqual([]);
});

test('a bound volume stays until it is released', async () => {
  await using cluster = await startCluster(all);
  await cluster.client.create(persistentVolumes, volume('a', '10Gi'));
  await cluster.client.create(persistentVolumeClaims, claim('data', '5Gi'));
  await cluster.settle();
  await cluster.client.delete(persistentVolumes, { name: 'a' });
  await cluster.settle();
  expect(await cluster.names(persistentVolumes)).toEqual(['a']);
  await cluster.client.delete(persistentVolumeClaims, { namespace: 'default', name: 'data' });
  await cluster.settle();
  expect(await cluster.names(persistentVolumes)).toEqual([]);
});
