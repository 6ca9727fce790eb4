import { expect, test } from 'vitest';
import { createKubeClient } from '#client/kube-client.ts';
import type { Service, ServiceSpec } from '#kube/generated/core-v1.ts';
import { endpointSlices, ipAddresses, namespaces, services } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import { startTestServer } from '../testing.ts';

const start = async () => {
  const t = await startTestServer(builtinKinds);
  return { ...t, client: createKubeClient(t.transport) };
};
const service = (name: string, spec: ServiceSpec = {}): Service => ({
  kind: 'Service',
  apiVersion: 'v1',
  metadata: { name, namespace: 'default' },
  spec: { selector: { a: 'b' }, ports: [{ port: 80 }], ...spec },
});
const at = (name: string) => ({ namespace: 'default', name });

test('addresses are unique under concurrency and free again after deletion', async () => {
  const { client } = await start();
  const made = await Promise.all(Array.from({ length: 300 }, (_, i) => client.create(services, service(`s${i}`))));
  const ips = new Set(made.map((s) => s.spec?.clusterIP));
  expect(ips.size).toBe(300);
  const ip = made[0]?.spec?.clusterIP ?? '';
  await expect(client.create(services, service('again', { clusterIP: ip }))).rejects.toThrow(
    `Service "again" is invalid: spec.clusterIPs: Invalid value: ["${ip}"]: failed to allocate IP ${ip}: provided IP is already allocated`,
  );
  await client.delete(services, at('s0'));
  expect((await client.create(services, service('again', { clusterIP: ip }))).spec?.clusterIPs).toEqual([ip]);
});

test('node ports come with the type and go with it', async () => {
  const { client } = await start();
  const made = await client.create(services, service('s', { type: 'NodePort' }));
  const port = made.spec?.ports?.[0]?.nodePort ?? 0;
  expect(port).toBeGreaterThanOrEqual(30_000);
  await expect(client.create(services, service('t', { type: 'NodePort', ports: [{ port: 80, nodePort: port }] }))).rejects.toThrow(
    `spec.ports[0].nodePort: Invalid value: ${port}: provided port is already allocated`,
  );
  const plain = await client.patch(services, at('s'), 'merge', { spec: { type: 'ClusterIP' } });
  expect(plain.spec?.ports?.[0]?.nodePort).toBeUndefined();
  expect(plain.spec?.clusterIP).toBe(made.spec?.clusterIP);
  await client.create(services, service('t', { type: 'NodePort', ports: [{ port: 80, nodePort: port }] }));
});

test('headless and external services hold no address', async () => {
  const { client } = await start();
  expect((await client.create(services, service('h', { clusterIP: 'None' }))).spec).toMatchObject({
    clusterIPs: ['None'],
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
  });
  const external = await client.create(services, service('e', { type: 'ExternalName', externalName: 'example.com' }));
  expect(external.spec?.clusterIP).toBeUndefined();
});

test('an update that leaves addresses out keeps them; another address is refused', async () => {
  const { client } = await start();
  const made = await client.create(services, service('s'));
  const updated = await client.update(services, service('s', { ports: [{ port: 81 }] }));
  expect(updated.spec?.clusterIP).toBe(made.spec?.clusterIP);
  await expect(client.update(services, service('s', { clusterIP: '10.43.200.200' }))).rejects.toMatchObject({ reason: 'Invalid' });
});

test('bootstrap makes the system namespaces and the service kubernetes once', async () => {
  const { client, server, cache } = await start();
  await server.bootstrap({ advertiseAddress: '192.0.2.1', port: 6443 });
  expect((await client.list(namespaces)).items.map((n) => n.metadata.name)).toEqual([
    'default',
    'kube-node-lease',
    'kube-public',
    'kube-system',
  ]);
  expect((await client.get(services, at('kubernetes'))).spec?.clusterIP).toBe('10.43.0.1');
  expect((await client.get(endpointSlices, at('kubernetes'))).endpoints).toMatchObject([{ addresses: ['192.0.2.1'] }]);
  expect((await client.list(ipAddresses)).items.map((i) => i.metadata.name)).toEqual(['10.43.0.1']);
  const revision = cache.revision();
  await server.bootstrap({ advertiseAddress: '192.0.2.1', port: 6443 });
  expect(cache.revision()).toBe(revision);
});
