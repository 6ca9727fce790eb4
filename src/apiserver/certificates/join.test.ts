import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { secrets } from '#kube/refs.ts';
import { createRequest, issueCertificate } from '#lib/x509.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { builtinKinds } from '#resources/index.ts';
import type { ApiRequest, ApiResponse, ExtraRoute, UserInfo } from '../contract.ts';
import { testObjects } from '../test-objects.ts';
import { joinRoutes } from './join.ts';
import { nodePasswordSecret } from './node-passwords.ts';

const now = Date.UTC(2026, 0, 1);
const authority = (name: string) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subject = { commonName: name, organizations: [] };
  const notAfter = new Date(now + 1e12);
  return {
    key: privateKey,
    certPem: issueCertificate({ subject, publicKey, notBefore: new Date(now), notAfter, ca: true }, { key: privateKey }),
  };
};
const serverCa = authority('server');
const clientCa = authority('client');
const nodeKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const csr = Buffer.from(createRequest(nodeKey, { commonName: 'ignored', organizations: ['system:masters'] }));

const anonymous: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'] };
const basic = (user: string, password: string) => ({ authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` });
const headers = { 'k3ts-node-name': 'n1', 'k3ts-node-password': 'pw', 'k3ts-node-ip': '10.0.0.9,fd00::9' };

async function setUp() {
  const store = await testObjects(builtinKinds);
  const routes = joinRoutes({
    store,
    serverCa: () => serverCa,
    clientCa: () => clientCa,
    passwords: () => ({ server: 'server-secret', agent: 'agent-secret' }),
    config: () => ({ clusterDomain: 'cluster.local' }),
    apiServers: () => ['10.0.0.1:6443'],
    clock: fakeClock(now),
  });
  return { store, ask: (path: string, more: Partial<ApiRequest> = {}) => ask(routes, path, more) };
}

function ask(routes: readonly ExtraRoute[], path: string, more: Partial<ApiRequest>): Promise<ApiResponse> {
  const request: ApiRequest = {
    method: more.body === undefined ? 'GET' : 'POST',
    path,
    query: new URLSearchParams(),
    headers: {},
    body: undefined,
    user: anonymous,
    signal: new AbortController().signal,
    ...more,
  };
  const route = routes.find((r) => r.path === path && r.methods.includes(request.method));
  if (route === undefined) throw new Error(`no route ${path}`);
  return route.handle(request);
}

const text = (response: ApiResponse): string => (response.type === 'bytes' ? String(response.body) : '');

let context: Awaited<ReturnType<typeof setUp>>;
beforeAll(async () => {
  context = await setUp();
});

test('anyone may read the authority and ping', async () => {
  expect(text(await context.ask('/cacerts'))).toBe(serverCa.certPem);
  expect(text(await context.ask('/ping'))).toBe('pong');
});

test('the configuration is for those with the token only', async () => {
  expect(text(await context.ask('/v1-k3ts/config', { headers: basic('node', 'agent-secret') }))).toBe('{"clusterDomain":"cluster.local"}');
  expect(text(await context.ask('/v1-k3ts/config', { headers: basic('server', 'server-secret') }))).not.toBe('');
  for (const bad of [
    {},
    basic('node', 'wrong'),
    basic('server', 'agent-secret'),
    basic('root', 'agent-secret'),
    { authorization: 'Basic %%' },
  ])
    await expect(context.ask('/v1-k3ts/config', { headers: bad })).rejects.toMatchObject({ reason: 'Unauthorized', code: 401 });
});

test('a node gets a certificate in its own name whatever its request says, and its password is remembered', async () => {
  const { ask, store } = await setUp();
  const pem = text(await ask('/v1-k3ts/client-kubelet.crt', { headers: { ...headers, ...basic('node', 'agent-secret') }, body: csr }));
  const cert = new X509Certificate(pem);
  expect(cert.subject).toBe('O=system:nodes\nCN=system:node:n1');
  expect(cert.checkPrivateKey(createPrivateKey(nodeKey.export({ type: 'pkcs8', format: 'pem' })))).toBe(true);
  expect(cert.verify(new X509Certificate(clientCa.certPem).publicKey)).toBe(true);
  expect(store.get(secrets, 'kube-system', nodePasswordSecret('n1'))).toBeDefined();
  const serving = new X509Certificate(
    text(await ask('/v1-k3ts/serving-kubelet.crt', { headers: { ...headers, ...basic('node', 'agent-secret') }, body: csr })),
  );
  expect(serving.checkIP('10.0.0.9')).toBe('10.0.0.9');
  expect(serving.verify(new X509Certificate(serverCa.certPem).publicKey)).toBe(true);
  const stranger = { ...headers, 'k3ts-node-password': 'other', ...basic('node', 'agent-secret') };
  await expect(ask('/v1-k3ts/client-kubelet.crt', { headers: stranger, body: csr })).rejects.toMatchObject({ code: 403 });
});

test('a node renews with its certificate while its Node exists, and only for itself', async () => {
  const { ask, store } = await setUp();
  const user: UserInfo = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] };
  await expect(ask('/v1-k3ts/client-kubelet.crt', { headers, body: csr, user })).rejects.toMatchObject({ code: 401 });
  await store.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
  expect(text(await ask('/v1-k3ts/client-kubelet.crt', { headers, body: csr, user }))).toContain('BEGIN CERTIFICATE');
  const other = { ...headers, 'k3ts-node-name': 'n2' };
  await expect(ask('/v1-k3ts/client-kubelet.crt', { headers: other, body: csr, user })).rejects.toMatchObject({ code: 403 });
});

test.each([
  ['no name', { ...headers, 'k3ts-node-name': '' }, csr, 'k3ts-Node-Name'],
  ['a name that is none', { ...headers, 'k3ts-node-name': '../x' }, csr, 'not a valid node name'],
  ['no password', { ...headers, 'k3ts-node-password': '' }, csr, 'k3ts-Node-Password'],
  ['a bad address', { ...headers, 'k3ts-node-ip': 'x' }, csr, 'not an IP address'],
  ['no request', headers, Buffer.from('rubbish'), 'unable to parse'],
])('%s is a bad request', async (_name, given, body, message) => {
  await expect(
    context.ask('/v1-k3ts/client-kubelet.crt', { headers: { ...given, ...basic('node', 'agent-secret') }, body }),
  ).rejects.toMatchObject({ code: 400, message: expect.stringContaining(message) });
});
