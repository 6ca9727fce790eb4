/** Requests for the fuzzer: every verb, resource, subresource, content type and parameter, on objects that are nearly valid. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeProtobuf } from '#kube/protobuf.ts';
import type { ResourceRef } from '#kube/refs.ts';
import type { Schema } from '#kube/schema.ts';
import { kindSchema, resolveSchema } from '#kube/schema-registry.ts';
import { seededRandom } from '#platform/random.ts';

/** Repeat a failure with the same seed: SEED=42 vitest run src/apiserver/fuzz.test.ts */
export const seed = Number(process.env['SEED'] ?? 20_260_101);

export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

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
  'a:80',
  'https:a:443',
  'a:99999',
  ':',
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
  'exec',
  'attach',
  'portforward',
  'proxy',
  'proxy/x/../y',
  'proxy/metrics?x=%00',
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
  Node: () => ({ spec: { podCIDR: pick(['10.42.0.0/24', 'x']), taints: [{ key: 'a', effect: pick(['NoSchedule', 'X']) }] } }),
  ServiceAccount: () => ({ secrets: [{ name: 'a' }], automountServiceAccountToken: chance(0.5) }),
  ConfigMap: () => ({ data: { a: 'b' }, ...(chance(0.2) ? { binaryData: { x: pick(['AA==', '!!']) } } : {}) }),
};

const fixtureFolder = join(import.meta.dirname, '../kube/fixtures/roundtrip');
/** Objects with every field set, by apiVersion and kind. */
const fixtures = new Map(
  readdirSync(fixtureFolder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => {
      const object = JSON.parse(readFileSync(join(fixtureFolder, name), 'utf8')) as { apiVersion: string; kind: string };
      return [`${object.apiVersion} ${object.kind}`, object] as const;
    }),
);

const scalarOf: Readonly<Record<string, () => unknown>> = {
  string: () => pick(['a', 'b', 'x-y', 'Always', 'TCP', '10Mi', '50%', '2026-01-01T00:00:00Z', 'example.com/v1', '10.43.0.7']),
  integer: () => pick([0, 1, 2, 80, 30_080, 2 ** 31, -1]),
  number: () => pick([0, 0.5, 1]),
  boolean: () => chance(0.5),
};

/** A value that fits a schema; what is required is there, most of the rest is not. */
function fitting(schema: Schema, depth: number): unknown {
  const s = resolveSchema(schema);
  if (s.type === 'array')
    return Array.from({ length: depth > 8 ? 0 : Math.floor(random.fraction() * 3) }, () => fitting(s.items ?? {}, depth + 1));
  if (s.properties === undefined && s.type === 'object') {
    const values = typeof s.additionalProperties === 'object' ? s.additionalProperties : {};
    return chance(0.5) ? {} : { [pick(['a', 'b', ...keys])]: fitting(values, depth + 1) };
  }
  if (s.properties === undefined) return scalarOf[s.type ?? '']?.() ?? pick(scalars);
  const share = depth < 2 ? 0.6 : depth < 4 ? 0.25 : 0.1;
  return Object.fromEntries(
    Object.entries(s.properties)
      .filter(([name]) => depth < 10 && (s.required?.includes(name) === true || chance(share)))
      .map(([name, property]) => [name, fitting(property, depth + 1)]),
  );
}

/** Changes one place, however deep. */
function scratch(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || chance(0.1)) return pick(scalars);
  const entries = Object.entries(value);
  if (entries.length === 0) return garbage(1);
  const at = Math.floor(random.fraction() * entries.length);
  if (Array.isArray(value)) {
    const items: unknown[] = value.map((v: unknown, i) => (i === at ? scratch(v) : v));
    return chance(0.2) ? [...items, items[at]] : items;
  }
  if (chance(0.15)) return Object.fromEntries(entries.filter((_, i) => i !== at));
  return Object.fromEntries(entries.map(([k, v], i) => [i === at && chance(0.1) ? pick(keys) : k, i === at ? scratch(v) : v]));
}

/** A fixture, an object made from the schema, or one of those written here; worse in a place or two as often as not. */
function objectFor(ref: ResourceRef, kind: string, apiVersion: string): unknown {
  const fixture = fixtures.get(`${apiVersion} ${kind}`);
  const schema = kindSchema(ref.group, ref.version, kind);
  let object: unknown = { kind, apiVersion, metadata: meta(), ...specs[kind]?.() };
  if (fixture !== undefined && chance(0.5)) object = chance(0.7) ? { ...fixture, metadata: meta() } : fixture;
  else if (schema !== undefined && chance(specs[kind] === undefined ? 0.8 : 0.3))
    object = { ...(fitting(schema, 0) as object), kind, apiVersion, metadata: meta() };
  if (chance(0.2)) return spoil(object);
  for (let left = Math.floor(random.fraction() * 3); left > 0; left--) object = scratch(object);
  return object;
}

const favourites = new Set(['pods', 'services', 'nodes', 'serviceaccounts', 'deployments', 'configmaps', 'namespaces']);

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
  'container=c',
  'container=__proto__',
  'command=ls&command=%00&stdin=1&tty=true',
  'ports=80,x&ports=-1',
  'tailLines=-1&limitBytes=0&sinceSeconds=x&sinceTime=yesterday',
  'stream=Stderr&tailLines=1',
  'path=%2F..%2F..&previous=true',
  'timeout=1ns',
  'timeout=x',
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
  'application/cbor',
  'application/json;stream=watch',
  'application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json;q=0.1',
  'application/yaml;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
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
  'application/cbor',
  'application/apply-patch+cbor',
  'application/json; charset=utf-8; x="',
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

function bodyFor(contentType: string, ref: ResourceRef, kind: string, apiVersion: string): Buffer | undefined {
  if (chance(0.1)) return undefined;
  if (chance(0.06)) return Buffer.from(random.bytes(Math.floor(random.fraction() * 200)));
  if (chance(0.02)) return Buffer.from('['.repeat(20_000));
  if (chance(0.02)) return Buffer.from(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`);
  if (chance(0.02))
    return Buffer.from(
      'a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d]\n',
    );
  if (contentType === 'application/json-patch+json') return Buffer.from(JSON.stringify(jsonPatch()));
  const object = objectFor(ref, kind, apiVersion);
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

/** A request for one of the resources, mostly for those on which much can go wrong. */
export function makeRequest(resources: readonly ResourceRef[]): Sent {
  const method = pick(methods);
  const headers: Record<string, string> = { accept: pick(accepts) };
  if (chance(0.05)) return { method: method === 'PROPFIND' ? 'GET' : method, path: pick(plainPaths), headers, body: undefined };
  const ref = pick(chance(0.6) ? resources.filter((r) => favourites.has(r.plural)) : resources);
  const version = chance(0.03) ? 'v9' : ref.version;
  let path = ref.group === '' ? `/api/${version}` : `/apis/${ref.group}/${version}`;
  if (ref.namespaced ? chance(0.9) : chance(0.05)) path += `/namespaces/${chance(0.8) ? 'default' : pick(namespaces)}`;
  path += `/${ref.plural}`;
  const named = method === 'POST' ? chance(0.2) : chance(0.7);
  if (named) path += `/${pick(names)}`;
  const sub = named ? pick(subresources) : '';
  if (sub !== '') path += `/${sub}`;
  if (chance(0.4)) path += `${path.includes('?') ? '&' : '?'}${pick(queries)}${chance(0.3) ? `&${pick(queries)}` : ''}`;
  // A watch without a timeout would last for half an hour.
  if (/watch=/.test(path) && !/timeoutSeconds/.test(path)) path += '&timeoutSeconds=1';
  const contentType = method === 'PATCH' ? pick(contentTypes.slice(4)) : pick(contentTypes);
  if (contentType !== '') headers['content-type'] = contentType;
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'PROPFIND')
    return { method, path, headers, body: undefined };
  const kind = chance(0.05) ? 'Nonsense' : ref.kind;
  const body =
    method === 'DELETE' && chance(0.7)
      ? undefined
      : bodyFor(contentType, ref, kind, ref.group === '' ? version : `${ref.group}/${version}`);
  return { method, path, headers, body };
}
