import { Agent, type Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeProtobuf } from '#kube/protobuf.ts';
import { realClock } from '#platform/clock.ts';
import { type Logger, memoryLogger } from '#platform/log.ts';
import { seededRandom } from '#platform/random.ts';
import { builtinKinds } from '#resources/index.ts';
import type { HttpServer } from './http/server.ts';
import { admin, startTestServer, type TestServer, testTls } from './testing.ts';

/** Repeat a failure with the same seed: SEED=42 vitest run src/apiserver/fuzz.test.ts */
const seed = Number(process.env['SEED'] ?? 20_260_101);
const requests = 20_000;
const parallel = 64;

const tls = testTls();
const bugs: string[] = [];
let t: TestServer;
let http: HttpServer;
let agent: HttpsAgent;
let port = 0;

beforeAll(async () => {
  const log = memoryLogger();
  const error = (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    const { error: cause, ...rest } = fields;
    bugs.push(`${message} ${JSON.stringify(rest)} ${cause instanceof Error ? cause.stack : String(cause)}`);
  };
  const logger: Logger = { ...log, error, child: () => logger };
  t = await startTestServer(builtinKinds, { clock: realClock, log: logger });
  await t.server.bootstrap({ advertiseAddress: '192.0.2.1', port: 6443 });
  http = t.server.createHttp({ tls: tls.server, authenticate: async () => admin });
  port = await http.listen('127.0.0.1', 0);
  agent = new Agent({ keepAlive: true, maxSockets: parallel, ca: tls.ca });
});
afterAll(async () => {
  agent.destroy();
  await http.close();
});

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

interface Got {
  readonly status: number;
  readonly text: string;
}

const send = (sent: Sent): Promise<Got> =>
  new Promise((resolve, reject) => {
    const request = httpsRequest(
      { host: '127.0.0.1', port, agent, method: sent.method, path: sent.path, headers: sent.headers },
      (response) => {
        let text = '';
        response.on('data', (c: Buffer) => {
          if (text.length < 2000) text += c.toString('utf8');
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(sent.body);
  });

const random = seededRandom(seed);
const pick = <T>(list: readonly T[]): T => list[Math.floor(random.fraction() * list.length)] as T;
const chance = (p: number): boolean => random.fraction() < p;

const methods = ['GET', 'GET', 'GET', 'POST', 'POST', 'PUT', 'PATCH', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'PROPFIND'];
const names = [
  'a',
  'b',
  'c',
  'kubernetes',
  'default',
  'x'.repeat(300),
  'Bad_Name',
  '..',
  '%00',
  '%2e%2e',
  '__proto__',
  'constructor',
  '%F0%9F%92%A9',
  '-',
];
const namespaces = ['default', 'kube-system', 'none', '', '%2F', '__proto__', 'UPPER'];
const subresources = [
  '',
  '',
  '',
  'status',
  'scale',
  'binding',
  'eviction',
  'ephemeralcontainers',
  'resize',
  'finalize',
  'approval',
  'token',
  'log',
  'nonsense',
  '__proto__',
];
const scalars: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1e308,
  2 ** 53,
  1.5,
  '',
  'a',
  'A'.repeat(5000),
  '1Gi',
  '-1m',
  '2026-01-01T00:00:00Z',
  'not a date',
  '10.43.0.1',
  '∞',
  '\u0000',
  '$(x)',
  '../..',
  'None',
  'NodePort',
  'Orphan',
];
const keys = [
  'metadata',
  'name',
  'namespace',
  'labels',
  'annotations',
  'finalizers',
  'ownerReferences',
  'managedFields',
  'resourceVersion',
  'uid',
  'generateName',
  'deletionTimestamp',
  'spec',
  'status',
  'data',
  'type',
  'ports',
  'replicas',
  'selector',
  'matchLabels',
  'matchExpressions',
  'template',
  'containers',
  'rules',
  'clusterIP',
  'clusterIPs',
  'nodePort',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  '$patch',
  '$retainKeys',
  '$setElementOrder/containers',
  '$deleteFromPrimitiveList/finalizers',
];

function garbage(depth: number): unknown {
  if (depth <= 0 || chance(0.4)) return pick(scalars);
  if (chance(0.3)) return Array.from({ length: Math.floor(random.fraction() * 4) }, () => garbage(depth - 1));
  return Object.fromEntries(Array.from({ length: Math.floor(random.fraction() * 5) }, () => [pick(keys), garbage(depth - 1)]));
}

/** Makes an object worse in one place. */
function spoil(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || chance(0.2)) return garbage(3);
  if (Array.isArray(value)) return value.map((v) => (chance(0.3) ? spoil(v) : (v as unknown)));
  const entries = Object.entries(value).map(([k, v]): [string, unknown] => [k, chance(0.3) ? spoil(v) : v]);
  if (chance(0.3)) entries.push([pick(keys), garbage(2)]);
  return Object.fromEntries(entries);
}

const meta = () => ({
  name: pick(names).slice(0, 60),
  ...(chance(0.3) ? { namespace: pick(namespaces) } : {}),
  ...(chance(0.2) ? { generateName: 'g-' } : {}),
  ...(chance(0.2) ? { labels: { a: 'b', [pick(keys)]: 'x' } } : {}),
  ...(chance(0.2) ? { finalizers: ['example.com/f'] } : {}),
  ...(chance(0.2) ? { resourceVersion: pick(['1', '0', 'x', '99999999999999999999']) } : {}),
  ...(chance(0.1) ? { managedFields: [garbage(2)] } : {}),
});
const container = () => ({ name: 'c', image: 'i', ...(chance(0.2) ? { resources: { limits: { cpu: pick(['1', 'x', '-1']) } } } : {}) });
const podSpec = () => ({ containers: [container()], ...(chance(0.2) ? { nodeName: 'n' } : {}) });
const selector = { matchLabels: { a: 'b' } };
const specs: Readonly<Record<string, () => object>> = {
  Pod: () => ({ spec: podSpec() }),
  Service: () => ({
    spec: {
      type: pick(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName', 'X']),
      ports: [{ port: pick([80, 0, 70_000]), ...(chance(0.3) ? { nodePort: pick([30_000, 1, 32_767]) } : {}) }],
      ...(chance(0.3) ? { clusterIP: pick(['None', '10.43.0.99', '1.2.3.4', 'x', '']) } : {}),
    },
  }),
  Deployment: () => ({ spec: { selector, replicas: pick([0, 1, -1]), template: { metadata: { labels: { a: 'b' } }, spec: podSpec() } } }),
  ConfigMap: () => ({ data: { a: 'b' }, ...(chance(0.2) ? { binaryData: { x: pick(['AA==', '!!']) } } : {}) }),
};

function objectFor(kind: string, apiVersion: string): unknown {
  const object = { kind, apiVersion, metadata: meta(), ...specs[kind]?.() };
  return chance(0.35) ? spoil(object) : object;
}

const resources = builtinKinds.map((k) => k.ref);
const favourites = resources.filter((r) => ['pods', 'services', 'deployments', 'configmaps', 'namespaces'].includes(r.plural));

const queries = [
  'limit=2',
  'limit=-1',
  'limit=x',
  'continue=abc',
  'continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhXHUwMDAwIn0',
  'resourceVersion=0',
  'resourceVersion=1',
  'resourceVersion=abc',
  'resourceVersion=1&resourceVersionMatch=Exact',
  'resourceVersionMatch=Exact',
  'labelSelector=a%3Db',
  'labelSelector=a+in+(b,c)',
  'labelSelector=((',
  'labelSelector=%00',
  'fieldSelector=metadata.name%3Da',
  'fieldSelector=spec.x%3Dy',
  'fieldSelector=%3D%3D',
  'watch=1&timeoutSeconds=1',
  'watch=true&resourceVersion=1&timeoutSeconds=1',
  'watch=1&sendInitialEvents=true&timeoutSeconds=1',
  'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1&timeoutSeconds=1',
  'dryRun=All',
  'dryRun=x',
  'fieldManager=f',
  'fieldManager=%00',
  'fieldValidation=Strict',
  'fieldValidation=x',
  'force=true',
  'pretty=true',
  'gracePeriodSeconds=0',
  'gracePeriodSeconds=x',
  'propagationPolicy=Foreground',
  'propagationPolicy=x',
  'orphanDependents=true',
  'includeObject=x',
  'includeObject=None',
  '__proto__=1',
  '%ff=%ff',
  'a'.repeat(2000),
];
const accepts = [
  '',
  '*/*',
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'application/json;as=Table;v=v1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  'text/html',
  ';;;,,',
  'application/json;as=__proto__;v=v1;g=meta.k8s.io',
];
const contentTypes = [
  'application/json',
  'application/json',
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
  'text/plain',
  '',
  'application/xml;;',
  'multipart/form-data',
];
const plainPaths = [
  '/',
  '/api',
  '/apis',
  '/api/v1',
  '/apis/apps',
  '/apis/apps/v1',
  '/apis/none/v1',
  '/version',
  '/healthz',
  '/livez/ping',
  '/readyz?verbose',
  '/metrics',
  '/openapi/v3',
  '/openapi/v3/apis/apps/v1',
  '/openapi/v4',
  '/%',
  '//',
  '/api//v1',
  '/api/v1/watch/pods?timeoutSeconds=1',
  '/api/v1/namespaces/default/pods/a/proxy/x/y',
  '/..;/',
  '/api/v1/namespaces/a/b/c/d/e/f/g',
];

function jsonPatch(): unknown {
  const paths = [
    '/data/a',
    '/spec/replicas',
    '/metadata/labels',
    '/metadata/name',
    '',
    '/x/y/z',
    '/spec/containers/0/image',
    '/-',
    '/__proto__/x',
    '/constructor/prototype/y',
    '/spec/containers/-1',
    '/metadata/finalizers/-',
  ];
  return Array.from({ length: 1 + Math.floor(random.fraction() * 3) }, () => ({
    op: pick(['add', 'remove', 'replace', 'move', 'copy', 'test', 'x']),
    path: pick(paths),
    from: pick(paths),
    value: garbage(2),
  }));
}

function bodyFor(contentType: string, kind: string, apiVersion: string): Buffer | undefined {
  if (chance(0.1)) return undefined;
  if (chance(0.06)) return Buffer.from(random.bytes(Math.floor(random.fraction() * 200)));
  if (chance(0.02)) return Buffer.from('['.repeat(20_000));
  if (chance(0.02)) return Buffer.from(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`);
  if (chance(0.02))
    return Buffer.from(
      'a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d]\n',
    );
  if (contentType === 'application/json-patch+json') return Buffer.from(JSON.stringify(jsonPatch()));
  const object = objectFor(kind, apiVersion);
  if (contentType.includes('protobuf')) {
    const bytes = typeof object === 'object' && object !== null ? safeProtobuf(object) : Buffer.from('k8s\0');
    if (chance(0.5) && bytes.length > 4) bytes[Math.floor(random.fraction() * bytes.length)] = Math.floor(random.fraction() * 256);
    return bytes;
  }
  const text = JSON.stringify(object) ?? '';
  return Buffer.from(chance(0.05) ? text.slice(0, Math.floor(random.fraction() * text.length)) : text);
}

function safeProtobuf(object: object): Buffer {
  try {
    return encodeProtobuf(object as { apiVersion: string; kind: string }) ?? Buffer.from('k8s\0');
  } catch {
    return Buffer.from('k8s\0\n\u0003');
  }
}

function makeRequest(): Sent {
  const method = pick(methods);
  const headers: Record<string, string> = { accept: pick(accepts) };
  if (chance(0.05)) return { method: method === 'PROPFIND' ? 'GET' : method, path: pick(plainPaths), headers, body: undefined };
  const ref = pick(chance(0.6) ? favourites : resources);
  const version = chance(0.03) ? 'v9' : ref.version;
  let path = ref.group === '' ? `/api/${version}` : `/apis/${ref.group}/${version}`;
  if (ref.namespaced ? chance(0.9) : chance(0.05)) path += `/namespaces/${chance(0.8) ? 'default' : pick(namespaces)}`;
  path += `/${ref.plural}`;
  const named = method === 'POST' ? chance(0.2) : chance(0.7);
  if (named) path += `/${pick(names)}`;
  const sub = named ? pick(subresources) : '';
  if (sub !== '') path += `/${sub}`;
  if (chance(0.4)) path += `?${pick(queries)}${chance(0.3) ? `&${pick(queries)}` : ''}`;
  // A watch without a timeout would last for half an hour.
  if (/watch=/.test(path) && !/timeoutSeconds/.test(path)) path += '&timeoutSeconds=1';
  const contentType = method === 'PATCH' ? pick(contentTypes.slice(4)) : pick(contentTypes);
  if (contentType !== '') headers['content-type'] = contentType;
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'PROPFIND')
    return { method, path, headers, body: undefined };
  const kind = chance(0.05) ? 'Nonsense' : ref.kind;
  const body =
    method === 'DELETE' && chance(0.7) ? undefined : bodyFor(contentType, kind, ref.group === '' ? version : `${ref.group}/${version}`);
  return { method, path, headers, body };
}

test(`${requests} requests of all sorts get no 500 and end nothing (seed ${seed})`, { timeout: 120_000 }, async () => {
  const queue = Array.from({ length: requests }, makeRequest);
  const failures: string[] = [];
  const statuses = new Map<number, number>();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < queue.length) {
      const sent = queue[next++] as Sent;
      const got = await send(sent).catch((error: unknown) => ({ status: -1, text: String(error) }));
      statuses.set(got.status, (statuses.get(got.status) ?? 0) + 1);
      const body = sent.body?.toString('utf8').slice(0, 300) ?? '';
      if (got.status === 500 || got.status < 200)
        failures.push(`${sent.method} ${sent.path} ${body} -> ${got.status} ${got.text.slice(0, 300)}`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  expect(bugs.slice(0, 5)).toEqual([]);
  expect(failures.slice(0, 5)).toEqual([]);
  // Enough of them must have got past decoding for the run to mean something.
  expect((statuses.get(201) ?? 0) + (statuses.get(200) ?? 0)).toBeGreaterThan(requests / 20);
  expect(await send({ method: 'GET', path: '/livez', headers: {}, body: undefined })).toMatchObject({ status: 200, text: 'ok' });
});
