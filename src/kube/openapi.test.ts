import { describe, expect, test } from 'vitest';
import type { KindDef } from './kind.ts';
import { openApiV2, openApiV3 } from './openapi.ts';
import type { Json } from './openapi-schema.ts';
import * as refs from './refs.ts';
import type { Schema } from './schema.ts';
import { kindSchema, loadDescriptions } from './schema-registry.ts';

const info = { version: 'v1.36.0', descriptions: await loadDescriptions() };
const kind = (ref: object, extra: Partial<KindDef> = {}): KindDef => {
  const r = ref as KindDef['ref'];
  return { ref: r, schema: kindSchema(r.group, r.version, r.kind) ?? {}, ...extra };
};
const at = (value: unknown, ...path: string[]): unknown => path.reduce<unknown>((v, step) => (v as Json | undefined)?.[step], value);

/** Every `$ref` in a document. */
function refsIn(value: unknown, found = new Set<string>()): Set<string> {
  if (value === null || typeof value !== 'object') return found;
  for (const [key, item] of Object.entries(value)) {
    if (key === '$ref' && typeof item === 'string') found.add(item);
    else refsIn(item, found);
  }
  return found;
}

const v3 = openApiV3([kind(refs.pods, { hasStatus: true }), kind(refs.nodes)], info);
const v2 = openApiV2([kind(refs.pods, { hasStatus: true })], info);

test.each([
  ['v3', v3, ['components', 'schemas']],
  ['v2', v2, ['definitions']],
] as const)('%s: every reference leads to a definition', (_name, document, path) => {
  const definitions = at(document, ...path) as Json;
  for (const ref of refsIn(document)) expect(definitions).toHaveProperty([ref.split('/').at(-1) ?? '']);
});

test('components carry descriptions, list types, merge keys and defaults', () => {
  const spec = at(v3, 'components', 'schemas', 'io.k8s.api.core.v1.PodSpec', 'properties');
  expect(at(spec, 'containers')).toMatchObject({
    type: 'array',
    items: { allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.Container' }], default: {} },
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': 'name',
  });
  expect(at(spec, 'volumes')).toMatchObject({ 'x-kubernetes-patch-strategy': 'merge,retainKeys' });
  expect(at(spec, 'nodeSelector')).toMatchObject({ 'x-kubernetes-map-type': 'atomic' });
  expect(at(spec, 'restartPolicy', 'enum')).toEqual(['Always', 'OnFailure', 'Never']);
  expect(at(v3, 'components', 'schemas', 'io.k8s.api.core.v1.Pod')).toMatchObject({
    description: expect.stringContaining('Pod is a collection of containers') as unknown,
    properties: { spec: { description: expect.stringContaining('PodSpec is a description of a pod') as unknown } },
    'x-kubernetes-group-version-kind': [{ group: '', kind: 'Pod', version: 'v1' }],
  });
  expect(at(v3, 'components', 'schemas', 'io.k8s.api.core.v1.ContainerPort', 'properties', 'protocol')).toMatchObject({ default: 'TCP' });
});

test('operations say which kind they are for, and that they know dryRun and fieldValidation', () => {
  const patch = at(v3, 'paths', '/api/v1/namespaces/{namespace}/pods/{name}', 'patch');
  expect(patch).toMatchObject({
    operationId: 'patchCoreV1NamespacedPod',
    'x-kubernetes-action': 'patch',
    'x-kubernetes-group-version-kind': { group: '', kind: 'Pod', version: 'v1' },
  });
  expect((at(patch, 'parameters') as { name: string }[]).map((p) => p.name)).toEqual([
    'dryRun',
    'fieldManager',
    'fieldValidation',
    'force',
  ]);
  const own = Object.keys(v3['paths'] as Json).filter((path) => !path.includes('/watch/') && !/\{name\}\/(?!status)/.test(path));
  expect(own).toEqual([
    '/api/v1/namespaces/{namespace}/pods',
    '/api/v1/namespaces/{namespace}/pods/{name}',
    '/api/v1/namespaces/{namespace}/pods/{name}/status',
    '/api/v1/pods',
    '/api/v1/nodes',
    '/api/v1/nodes/{name}',
  ]);
});

test('a custom resource is described by its own schema', () => {
  const schema: Schema = {
    custom: true,
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        required: ['size'],
        properties: {
          size: { type: 'integer', format: 'int32', validations: { minimum: 1, rules: [{ rule: 'self > 0' }] } },
          port: { format: 'int-or-string', validations: { anyOf: [{ type: 'integer' }, { type: 'string' }] } },
          any: { type: 'object', preserveUnknownFields: true },
        },
      },
    },
  };
  const ref = { ...(refs.pods as KindDef['ref']), group: 'stable.example.com', kind: 'CronTab', plural: 'crontabs' };
  const document = openApiV3([{ ref, schema, custom: true }], info);
  expect(at(document, 'components', 'schemas', 'com.example.stable.v1.CronTab')).toMatchObject({
    properties: {
      metadata: {
        // Upstream's conformance tests look for this in kubectl explain.
        description: expect.stringMatching(/^Standard object's metadata\. More info: /) as string,
        allOf: [{ $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' }],
      },
      spec: {
        required: ['size'],
        properties: {
          size: { type: 'integer', minimum: 1, 'x-kubernetes-validations': [{ rule: 'self > 0' }] },
          port: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
          any: { 'x-kubernetes-preserve-unknown-fields': true },
        },
      },
    },
    'x-kubernetes-group-version-kind': [{ group: 'stable.example.com', kind: 'CronTab', version: 'v1' }],
  });
  expect(at(document, 'paths', '/apis/stable.example.com/v1/namespaces/{namespace}/crontabs', 'get', 'operationId')).toBe(
    'listStableExampleComV1NamespacedCronTab',
  );
});

test('a custom resource that keeps unknown fields at its root is any object in v2, which cannot say so', () => {
  const ref = { ...(refs.pods as KindDef['ref']), group: 'stable.example.com', kind: 'CronTab', plural: 'crontabs' };
  const schema: Schema = { custom: true, type: 'object', preserveUnknownFields: true, description: 'Text.', properties: { spec: {} } };
  const name = 'com.example.stable.v1.CronTab';
  const gvk = [{ group: 'stable.example.com', kind: 'CronTab', version: 'v1' }];
  expect(at(openApiV2([{ ref, schema, custom: true }], info), 'definitions', name)).toEqual({
    type: 'object',
    'x-kubernetes-group-version-kind': gvk,
  });
  expect(at(openApiV3([{ ref, schema, custom: true }], info), 'components', 'schemas', name)).toMatchObject({
    description: 'Text.',
    properties: { spec: {}, kind: { type: 'string' } },
    'x-kubernetes-preserve-unknown-fields': true,
  });
});

describe('the paths of a pod', () => {
  const path = '/api/v1/namespaces/{namespace}/pods/{name}';
  test.each([
    [`${path}/binding`, 'post', 'createCoreV1NamespacedPodBinding', 'post', 'Binding'],
    [`${path}/eviction`, 'post', 'createCoreV1NamespacedPodEviction', 'post', 'Eviction'],
    [`${path}/ephemeralcontainers`, 'patch', 'patchCoreV1NamespacedPodEphemeralcontainers', 'patch', 'Pod'],
    [`${path}/resize`, 'put', 'replaceCoreV1NamespacedPodResize', 'put', 'Pod'],
    [`${path}/log`, 'get', 'readCoreV1NamespacedPodLog', 'get', 'Pod'],
    [`${path}/exec`, 'post', 'connectCoreV1PostNamespacedPodExec', 'connect', 'PodExecOptions'],
    [`${path}/attach`, 'get', 'connectCoreV1GetNamespacedPodAttach', 'connect', 'PodAttachOptions'],
    [`${path}/portforward`, 'get', 'connectCoreV1GetNamespacedPodPortforward', 'connect', 'PodPortForwardOptions'],
    [`${path}/proxy`, 'delete', 'connectCoreV1DeleteNamespacedPodProxy', 'connect', 'PodProxyOptions'],
    [`${path}/proxy/{path}`, 'head', 'connectCoreV1HeadNamespacedPodProxyWithPath', 'connect', 'PodProxyOptions'],
    ['/api/v1/watch/pods', 'get', 'watchCoreV1PodListForAllNamespaces', 'watchlist', 'Pod'],
    ['/api/v1/watch/namespaces/{namespace}/pods', 'get', 'watchCoreV1NamespacedPodList', 'watchlist', 'Pod'],
    ['/api/v1/watch/namespaces/{namespace}/pods/{name}', 'get', 'watchCoreV1NamespacedPod', 'watch', 'Pod'],
  ])('%s %s is %s', (where, method, id, action, name) => {
    for (const document of [v2, v3])
      expect(at(document, 'paths', where, method)).toMatchObject({
        operationId: id,
        'x-kubernetes-action': action,
        'x-kubernetes-group-version-kind': { kind: name },
      });
  });

  test('the log is text, and its parameters are there', () => {
    const log = at(v3, 'paths', `${path}/log`, 'get');
    expect(at(log, 'responses', '200', 'content', 'text/plain')).toEqual({ schema: { type: 'string' } });
    expect((at(log, 'parameters') as { name: string }[]).map((p) => p.name)).toContain('tailLines');
  });
});

test('cluster-scoped kinds have watch paths without a namespace, custom resources none', () => {
  expect(at(v3, 'paths', '/api/v1/watch/nodes/{name}', 'get', 'operationId')).toBe('watchCoreV1Node');
  const paths = Object.keys(
    at(
      openApiV3([kind({ ...refs.pods, group: 'example.com' }, { custom: true, schema: { custom: true, type: 'object' } })], info),
      'paths',
    ) as Json,
  );
  expect(paths.filter((p) => p.includes('/watch/'))).toEqual([]);
});
