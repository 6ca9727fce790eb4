/**
 * Custom objects on the executable, after upstream's test/integration of apiextensions-apiserver: pruning, defaulting, objectmeta, listtype,
 * subresources, fieldselector, yaml, finalization.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

let scenario: Scenario;
let node: ServerNode;

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('server', ['--disable-agent']);
  await node.start();
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

type Json = Record<string, unknown>;

const text = { type: 'string' };
const integer = { type: 'integer' };
const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const group = 'objects.example.test';

interface Version {
  readonly name: string;
  readonly spec: Json;
  readonly more?: Json;
  readonly storage?: boolean;
}

function definition(plural: string, kind: string, versions: readonly Version[]): string {
  const replicas = { type: 'object', properties: { replicas: integer, n: integer, selector: text } };
  return JSON.stringify({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind },
      versions: versions.map(({ name, spec, more, storage }) => ({
        name,
        served: true,
        storage: storage ?? true,
        schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: spec }, status: replicas } } },
        ...more,
      })),
    },
  });
}
const object = (kind: string, name: string, more: Json, version = 'v1'): string =>
  JSON.stringify({ apiVersion: `${group}/${version}`, kind, metadata: { name }, ...more });
const define = async (...args: Parameters<typeof definition>): Promise<void> => {
  await node.ok(['apply', '-f', '-'], definition(...args));
};
const raw = async (plural: string, name: string, version = 'v1'): Promise<Json> =>
  JSON.parse(await node.ok(['get', '--raw', `/apis/${group}/${version}/namespaces/default/${plural}/${name}`])) as Json;
const refused = async (args: readonly string[], why: readonly string[], input?: string): Promise<void> => {
  const { code, stderr } = await node.kubectl(args, input);
  for (const part of why) expect(stderr).toContain(part);
  expect(code).toBe(1);
};
const create = ['create', '--validate=false', '-f', '-'];

test('what no schema knows is pruned from specs, lists, maps and status, and kept where it may be', async () => {
  const item = { type: 'object', properties: { a: text } };
  await define('pruned', 'Pruned', [
    {
      name: 'v1',
      spec: { list: { type: 'array', items: item }, map: { type: 'object', additionalProperties: item }, open },
      more: { subresources: { status: {} } },
    },
  ]);
  const spec = { gone: 1, list: [{ a: 'x', gone: 1 }], map: { k: { a: 'x', gone: 1 } }, open: { kept: { deep: 1 } } };
  await node.ok(create, object('Pruned', 'a', { spec, gone: true, status: { replicas: 1 } }));
  const made = await raw('pruned', 'a');
  expect(made['spec']).toEqual({ list: [{ a: 'x' }], map: { k: { a: 'x' } }, open: { kept: { deep: 1 } } });
  expect(Object.keys(made).sort()).toEqual(['apiVersion', 'kind', 'metadata', 'spec']);
  const status = [
    'patch',
    `pruned.${group}/a`,
    '--subresource=status',
    '--type=merge',
    '-p',
    '{"status":{"replicas":2,"gone":1},"spec":{"open":null}}',
  ];
  await node.ok(status);
  expect(await raw('pruned', 'a')).toMatchObject({ status: { replicas: 2 }, spec: { open: { kept: { deep: 1 } } } });
  await refused(
    ['create', '--validate=strict', '-f', '-'],
    ['strict decoding error: unknown field "spec.gone"'],
    object('Pruned', 'b', { spec: { gone: 1 } }),
  );
});

test('defaults are filled in on writing and on reading what was stored before, in each version its own', async () => {
  const none: Version = { name: 'v1', spec: { a: text, b: text } };
  await define('defaulted', 'Defaulted', [none]);
  await node.ok(create, object('Defaulted', 'old', { spec: { a: 'A' } }));
  const given = { a: { ...text, default: 'da' }, b: { ...text, default: 'db' }, n: { ...text, nullable: true, default: 'dn' } };
  await define('defaulted', 'Defaulted', [
    { name: 'v1', spec: given },
    { name: 'v2', spec: { ...given, b: { ...text, default: 'other' } }, storage: false },
  ]);
  expect(await raw('defaulted', 'old')).toMatchObject({ spec: { a: 'A', b: 'db', n: 'dn' } });
  expect(await raw('defaulted', 'old', 'v2')).toMatchObject({ spec: { a: 'A', b: 'other', n: 'dn' } });
  await node.ok(create, object('Defaulted', 'new', { spec: { a: null, n: null } }));
  expect(await raw('defaulted', 'new')).toMatchObject({ spec: { a: 'da', b: 'db', n: null } });
  // What was written has its defaults; what was only read gets those of today.
  await define('defaulted', 'Defaulted', [
    { name: 'v1', spec: { ...given, b: { ...text, default: 'later' } } },
    { name: 'v2', spec: given, storage: false },
  ]);
  expect([await raw('defaulted', 'old'), await raw('defaulted', 'new')]).toMatchObject([{ spec: { b: 'later' } }, { spec: { b: 'db' } }]);
});

test('objects within objects have names as objects have', async () => {
  const embedded = { ...open, 'x-kubernetes-embedded-resource': true };
  await define('holders', 'Holder', [{ name: 'v1', spec: { object: embedded } }]);
  await node.ok(
    create,
    object('Holder', 'a', { spec: { object: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x', unknown: 1 }, any: 1 } } }),
  );
  expect((await raw('holders', 'a'))['spec']).toEqual({ object: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, any: 1 } });
  await refused(
    create,
    ['spec.object.apiVersion: Required value', 'spec.object.kind: Required value', 'spec.object.metadata.labels: Invalid value: "a b"'],
    object('Holder', 'b', { spec: { object: { metadata: { labels: { 'a b': 'c' } } } } }),
  );
});

test('sets and maps take nothing twice, but keep what was twice before', async () => {
  const plain = {
    set: { type: 'array', items: text },
    map: { type: 'array', items: { type: 'object', required: ['k'], properties: { k: text, v: text } } },
  };
  await define('twins', 'Twin', [{ name: 'v1', spec: plain }]);
  await node.ok(create, object('Twin', 'old', { spec: { set: ['a', 'a'] } }));
  await define('twins', 'Twin', [
    {
      name: 'v1',
      spec: {
        set: { ...plain.set, 'x-kubernetes-list-type': 'set' },
        map: { ...plain.map, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'] },
      },
    },
  ]);
  await refused(
    create,
    ['spec.set[1]: Duplicate value: "a"', 'spec.map[1]: Duplicate value: {"k":"x"}'],
    object('Twin', 'new', { spec: { set: ['a', 'a'], map: [{ k: 'x' }, { k: 'x', v: 'y' }] } }),
  );
  await node.ok(['patch', `twins.${group}/old`, '--type=merge', '-p', '{"spec":{"set":["a","a","b"]}}']);
  await node.ok(['patch', `twins.${group}/old`, '--type=merge', '-p', '{"spec":{"set":["a","b"]}}']);
  expect((await raw('twins', 'old'))['spec']).toEqual({ set: ['a', 'b'] });
  await refused(['patch', `twins.${group}/old`, '--type=merge', '-p', '{"spec":{"set":["a","a"]}}'], ['spec.set[1]: Duplicate value: "a"']);
});

test('each version has a scale of its own, and a definition says what is wrong with it', async () => {
  const scale = (field: string): Json => ({
    subresources: {
      status: {},
      scale: { specReplicasPath: `.spec.${field}`, statusReplicasPath: `.status.${field}`, labelSelectorPath: '.status.selector' },
    },
  });
  const spec = { replicas: integer, n: integer };
  await define('scaled', 'Scaled', [
    { name: 'v1', spec, more: scale('replicas') },
    { name: 'v2', spec, more: scale('n'), storage: false },
  ]);
  await node.ok(create, object('Scaled', 'a', { spec: { replicas: 1, n: 5 } }));
  const scaleOf = (version: string): Promise<string> =>
    node.ok(['get', '--raw', `/apis/${group}/${version}/namespaces/default/scaled/a/scale`]);
  expect(JSON.parse(await scaleOf('v1'))).toMatchObject({ kind: 'Scale', spec: { replicas: 1 } });
  expect(JSON.parse(await scaleOf('v2'))).toMatchObject({ kind: 'Scale', spec: { replicas: 5 } });
  await node.ok(['scale', '--replicas=7', `scaled.v2.${group}/a`]);
  expect(await raw('scaled', 'a')).toMatchObject({ spec: { replicas: 1, n: 7 }, metadata: { generation: 2 } });
  await refused(
    create,
    ['.spec.replicas: Invalid value: -1: should be a non-negative integer'],
    object('Scaled', 'b', { spec: { replicas: -1 } }),
  );
  await node.ok(create, object('Scaled', 'c', { spec: {} }));
  await refused(
    ['get', '--raw', `/apis/${group}/v1/namespaces/default/scaled/c/scale`],
    ['the spec replicas field ".spec.replicas" does not exist'],
  );
  await refused(
    ['apply', '-f', '-'],
    ['spec.subresources.scale.specReplicasPath: Invalid value: "spec.replicas": must be a simple json path starting with .'],
    definition('wrong', 'Wrong', [
      {
        name: 'v1',
        spec,
        more: { subresources: { scale: { specReplicasPath: 'spec.replicas', statusReplicasPath: '.status.replicas' } } },
      },
    ]),
  );
});

test('lists, watches and deletions select by the fields that a definition names', async () => {
  await define('selected', 'Selected', [
    {
      name: 'v1',
      spec: { color: text, size: integer },
      more: { selectableFields: [{ jsonPath: '.spec.color' }, { jsonPath: '.spec.size' }] },
    },
  ]);
  for (const [name, color, size] of [
    ['a', 'red', 1],
    ['b', 'blue', 1],
    ['c', 'red', 2],
  ] as const)
    await node.ok(create, object('Selected', name, { spec: { color, size } }));
  const names = async (selector: string): Promise<string> =>
    await node.ok(['get', 'selected', '--field-selector', selector, '-o', 'jsonpath={.items[*].metadata.name}']);
  expect(await names('spec.color=red')).toBe('a c');
  expect(await names('spec.color=red,spec.size!=2')).toBe('a');
  await refused(['get', 'selected', '--field-selector', 'spec.shape=round'], ['field label not supported: spec.shape']);
  await node.ok(['delete', 'selected', '--field-selector', 'spec.size=1']);
  expect(await names('metadata.namespace=default')).toBe('c');
  await refused(
    ['apply', '-f', '-'],
    ['spec.selectableFields[0].jsonPath: Invalid value: ".spec.gone": is an invalid path: does not refer to a valid field'],
    definition('wrong', 'Wrong', [{ name: 'v1', spec: {}, more: { selectableFields: [{ jsonPath: '.spec.gone' }] } }]),
  );
});

test('objects come and go as YAML, also long ones', async () => {
  await define('texts', 'Text1', [{ name: 'v1', spec: { map: { type: 'object', additionalProperties: text }, big: integer } }]);
  const lines = Array.from({ length: 5_000 }, (_, i) => `    k${i}: "v"`).join('\n');
  const yaml = `apiVersion: ${group}/v1\nkind: Text1\nmetadata:\n  name: a\nspec:\n  big: 9007199254740993\n  map:\n${lines}\n`;
  await node.ok(['create', '--raw', `/apis/${group}/v1/namespaces/default/texts`, '-f', '-'], yaml).catch(() => node.ok(create, yaml));
  await node.ok(['apply', '--server-side', '-f', '-'], yaml);
  const made = await node.ok(['get', `texts.${group}/a`, '-o', 'yaml']);
  expect(made).toContain('big: 9007199254740993');
  expect(made).toContain('k4999: v');
});

test('an object with a finalizer outlives its deletion until the finalizer is gone, and takes no new ones', async () => {
  await define('held', 'Held', [{ name: 'v1', spec: { a: text } }]);
  await node.ok(
    create,
    JSON.stringify({ apiVersion: `${group}/v1`, kind: 'Held', metadata: { name: 'a', finalizers: ['example.test/hold'] } }),
  );
  await node.ok(['delete', `held.${group}/a`, '--wait=false']);
  expect(await raw('held', 'a')).toMatchObject({
    metadata: { deletionTimestamp: expect.any(String) as string, finalizers: ['example.test/hold'] },
  });
  await refused(
    ['patch', `held.${group}/a`, '--type=merge', '-p', '{"metadata":{"finalizers":["example.test/hold","example.test/more"]}}'],
    ['metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted'],
  );
  await node.ok(['patch', `held.${group}/a`, '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
  await node.ok(['wait', '--for=delete', `held.${group}/a`, '--timeout=60s']);
  expect(await node.ok(['get', 'held', '-o', 'name'])).toBe('');
});
