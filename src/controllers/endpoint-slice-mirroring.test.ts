import { expect, test } from 'vitest';
import { endpointSlices, endpoints, services } from '#kube/refs.ts';
import { endpointSliceMirroringController } from './endpoint-slice-mirroring.ts';
import { startCluster } from './testing.ts';

const metadata = { name: 'outside', namespace: 'default' };
const service = { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP: '10.43.0.9', ports: [{ port: 5432 }] } };
const made = {
  apiVersion: 'v1',
  kind: 'Endpoints',
  metadata,
  subsets: [
    {
      addresses: [{ ip: '192.0.2.1' }, { ip: '2001:db8::1' }],
      notReadyAddresses: [{ ip: '192.0.2.2' }],
      ports: [{ name: 'pg', port: 5432 }],
    },
  ],
};

test('hand-made Endpoints of a service without a selector are mirrored, one slice for each family', async () => {
  await using cluster = await startCluster([endpointSliceMirroringController]);
  await cluster.client.create(services, service);
  await cluster.client.create(endpoints, made);
  await cluster.settle();
  const slices = [...(await cluster.list(endpointSlices))].sort((a, b) => (a.addressType < b.addressType ? -1 : 1));
  expect(slices).toMatchObject([
    {
      addressType: 'IPv4',
      metadata: {
        labels: {
          'kubernetes.io/service-name': 'outside',
          'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
        },
        ownerReferences: [{ kind: 'Endpoints', name: 'outside' }],
      },
      endpoints: [
        { addresses: ['192.0.2.1'], conditions: { ready: true } },
        { addresses: ['192.0.2.2'], conditions: { ready: false } },
      ],
      ports: [{ name: 'pg', port: 5432, protocol: 'TCP' }],
    },
    { addressType: 'IPv6', endpoints: [{ addresses: ['2001:db8::1'] }] },
  ]);
  await cluster.patch(endpoints, 'outside', { subsets: [{ addresses: [{ ip: '192.0.2.3' }], ports: [{ name: 'pg', port: 5432 }] }] });
  await cluster.settle();
  expect((await cluster.list(endpointSlices)).map((s) => s.endpoints?.map((e) => e.addresses[0]))).toEqual([['192.0.2.3']]);
});

test('Endpoints that ask not to be mirrored, and those of services with a selector, are left alone', async () => {
  await using cluster = await startCluster([endpointSliceMirroringController]);
  await cluster.client.create(services, service);
  await cluster.client.create(endpoints, {
    ...made,
    metadata: { ...metadata, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
  });
  const selected = { name: 'selected', namespace: 'default' };
  await cluster.client.create(services, {
    ...service,
    metadata: selected,
    spec: { ...service.spec, clusterIP: '10.43.0.10', selector: { a: 'b' } },
  });
  await cluster.client.create(endpoints, { ...made, metadata: selected });
  await cluster.settle();
  expect(await cluster.list(endpointSlices)).toEqual([]);
});
