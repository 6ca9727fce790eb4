import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Service } from '#kube/generated/core-v1.ts';
import type { EndpointSlice } from '#kube/generated/discovery-v1.ts';
import { endpointSlices, services } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import type { ObjectStore } from './contract.ts';
import { createServiceDialer } from './service-endpoints.ts';
import { startTestServer } from './testing.ts';

const server = createServer((socket) => socket.end('from here'));
let port = 0;
let objects: ObjectStore;
const never = new AbortController().signal;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  const started = await startTestServer(builtinKinds);
  objects = started.server.objects;
});
afterAll(() => server.close());

/** A service with one endpoint for each [address, node]. */
async function addService(name: string, endpoints: readonly (readonly [address: string, node: string])[], spec: Service['spec'] = {}) {
  const metadata = { name, namespace: 'default' };
  await objects.create<Service>(services, { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ port: 443 }], ...spec } });
  await objects.create<EndpointSlice>(endpointSlices, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: endpoints.map(([address, nodeName]) => ({ addresses: [address], ...(nodeName === '' ? {} : { nodeName }) })),
    ports: [{ port }],
  });
}

/** Nodes that reach every address but 10.0.0.9, and tell which they were asked for. */
function nodesOf(connected: readonly string[]) {
  const asked: string[] = [];
  const tunnel = {
    connected: () => connected,
    dialNode: (node: string) =>
      Promise.resolve({
        request: () => Promise.reject(new Error('not asked for')),
        connect: (host: string) => {
          asked.push(`${node} ${host}`);
          return host === '10.0.0.9' ? Promise.reject(new Error('no route')) : Promise.resolve(new PassThrough());
        },
      }),
  };
  return { asked, dial: createServiceDialer(tunnel, objects) };
}

test('an endpoint on a node is dialled by that node, one whose node is connected before others', async () => {
  await addService('web', [
    ['10.0.0.1', 'away'],
    ['10.0.0.2', 'here'],
  ]);
  const { asked, dial } = nodesOf(['here']);
  await dial('default', 'web', 443, never);
  expect(asked).toEqual(['here 10.0.0.2']);
});

test('another endpoint is tried when one does not answer', async () => {
  await addService('flaky', [
    ['10.0.0.9', 'here'],
    ['10.0.0.3', 'away'],
  ]);
  const { asked, dial } = nodesOf(['here']);
  await dial('default', 'flaky', 443, never);
  expect(asked).toEqual(['here 10.0.0.9', 'away 10.0.0.3']);
});

test.each([
  ['an endpoint that is on no node', 'manual', {}, 443],
  ['an ExternalName', 'outside', { type: 'ExternalName', externalName: 'localhost' } as const, 0],
])('%s is dialled from the server', async (_title, name, spec, servicePort) => {
  await addService(name, [['127.0.0.1', '']], spec);
  const { asked, dial } = nodesOf(['here']);
  const socket = await dial('default', name, servicePort === 0 ? port : servicePort, never);
  const [text] = (await once(socket, 'data')) as [Buffer];
  expect(text.toString()).toBe('from here');
  expect(asked).toEqual([]);
});

test('a service without ready endpoints says so', async () => {
  await addService('empty', []);
  await expect(nodesOf(['here']).dial('default', 'empty', 443, never)).rejects.toMatchObject({ reason: 'ServiceUnavailable' });
});
