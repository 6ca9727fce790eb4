import { expect, test } from 'vitest';
import { persistentVolumeClaims, pods } from '#kube/refs.ts';
import { ephemeralVolumeController } from './ephemeral-volume.ts';
import { startCluster } from './testing.ts';

test('a generic ephemeral volume gets a claim that the pod owns', async () => {
  await using cluster = await startCluster([ephemeralVolumeController], {}, { rbac: true });
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
  const pod = await cluster.client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      containers: [{ name: 'c', image: 'i' }],
      volumes: [{ name: 'scratch', ephemeral: { volumeClaimTemplate: { metadata: { labels: { a: 'b' } }, spec } } }],
    },
  });
  await cluster.settle();
  expect(await cluster.get(persistentVolumeClaims, 'web-scratch')).toMatchObject({
    metadata: { labels: { a: 'b' }, ownerReferences: [{ kind: 'Pod', name: 'web', uid: pod.metadata.uid, controller: true }] },
    spec: { resources: { requests: { storage: '1Gi' } } },
  });
});
