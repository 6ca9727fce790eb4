/** 50 managers write to one object at once, over HTTPS to the built executable. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../harness/machine.ts';
import { createScenario, type Scenario } from '../harness/node.ts';

interface Entry {
  readonly manager: string;
  readonly operation: string;
  readonly fieldsV1: Record<string, unknown>;
}
interface Outcome {
  readonly metadata: { readonly labels: Record<string, string>; readonly managedFields: readonly Entry[] };
  readonly data: Record<string, string>;
  readonly spec: Record<string, unknown>;
}

let scenario: Scenario;
let outcome: Record<'map' | 'deployment' | 'custom' | 'mixed', Outcome> & { readonly failures: readonly string[] };

const set = { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } };
const listMap = {
  type: 'array',
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['id'],
  items: { type: 'object', required: ['id'], properties: { id: { type: 'integer' }, text: { type: 'string' } } },
};
const free = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const spec = { type: 'object', properties: { items: listMap, set, free } };
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'things.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'things', kind: 'Thing' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec } } } }],
  },
};

beforeAll(async () => {
  scenario = await createScenario();
  const node = await scenario.addServer('server', ['--disable-agent']);
  await node.start();
  await node.ok(['create', '-f', '-'], JSON.stringify(definition));
  await node.ok(['wait', '--for=condition=Established', 'crd/things.example.com']);
  const [enter = '', ...args] = node.host.enter;
  const result = await run(enter, [...args, process.execPath, join(import.meta.dirname, 'client.ts'), node.kubeconfig], {
    timeoutMs: 280_000,
  });
  if (result.code !== 0) throw new Error(`the client failed: ${result.stderr}`);
  outcome = JSON.parse(result.stdout) as typeof outcome;
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

const numbers = Array.from({ length: 50 }, (_, i) => i);
const name = (i: number): string => `m-${String(i).padStart(2, '0')}`;
const names = numbers.map(name);
const appliers = (o: Outcome): Map<string, Entry> =>
  new Map(o.metadata.managedFields.filter((e) => e.operation === 'Apply').map((e) => [e.manager, e]));

test('no request is refused, for the server tries again what lost a race', () => {
  expect(outcome.failures).toEqual([]);
});

test('one ConfigMap holds the key of each', () => {
  const { map } = outcome;
  expect(map.data).toEqual(Object.fromEntries(numbers.map((i) => [name(i), String(i)])));
  expect(map.metadata.labels).toEqual(Object.fromEntries(names.map((n) => [n, 'x'])));
  const managers = appliers(map);
  expect([...managers.keys()].toSorted()).toEqual(names);
  for (const [manager, entry] of managers)
    expect(entry.fieldsV1).toEqual({ 'f:data': { [`f:${manager}`]: {} }, 'f:metadata': { 'f:labels': { [`f:${manager}`]: {} } } });
});

describe('one Deployment', () => {
  test('holds the container, the variable and the port of each', () => {
    const template = outcome.deployment.spec['template'] as {
      spec: { containers: { name: string; env?: { name: string }[]; ports?: { containerPort: number }[] }[] };
    };
    const { containers } = template.spec;
    expect(containers.map((c) => c.name).toSorted()).toEqual(['all', ...names]);
    const all = containers.find((c) => c.name === 'all');
    expect(all?.env?.map((e) => e.name).toSorted()).toEqual(names);
    expect(all?.ports?.map((p) => p.containerPort).toSorted()).toEqual(numbers.map((i) => 1000 + i));
  });

  test('says so in managedFields', () => {
    const managers = appliers(outcome.deployment);
    expect([...managers.keys()].toSorted()).toEqual(names);
    for (const [i, manager] of names.entries())
      expect(managers.get(manager)?.fieldsV1).toMatchObject({
        'f:spec': {
          'f:template': {
            'f:spec': {
              'f:containers': {
                'k:{"name":"all"}': {
                  'f:env': { [`k:{"name":"${manager}"}`]: { '.': {}, 'f:name': {}, 'f:value': {} } },
                  'f:ports': { [`k:{"containerPort":${1000 + i},"protocol":"TCP"}`]: { '.': {}, 'f:containerPort': {} } },
                },
                [`k:{"name":"${manager}"}`]: { '.': {}, 'f:image': {}, 'f:name': {} },
              },
            },
          },
        },
      });
  });
});

test('one custom object holds the item, the member and the key of each', () => {
  const {
    items,
    set: members,
    free: keys,
  } = outcome.custom.spec as {
    items: { id: number; text: string }[];
    set: string[];
    free: Record<string, unknown>;
  };
  expect(items.toSorted((a, b) => a.id - b.id)).toEqual(numbers.map((i) => ({ id: i, text: name(i) })));
  expect(members.toSorted()).toEqual(names);
  expect(keys).toEqual(Object.fromEntries(numbers.map((i) => [name(i), { deep: [i] }])));
  const managers = appliers(outcome.custom);
  for (const [i, manager] of names.entries())
    expect(managers.get(manager)?.fieldsV1['f:spec']).toEqual({
      'f:free': { [`f:${manager}`]: { '.': {}, 'f:deep': {} } },
      'f:items': { [`k:{"id":${i}}`]: { '.': {}, 'f:id': {}, 'f:text': {} } },
      'f:set': { [`v:"${manager}"`]: {} },
    });
});

test('applies, patches and updates of one object lose nothing of each other', () => {
  const how = (i: number): string => (i % 2 === 0 ? 'applied' : i % 4 === 1 ? 'patched' : 'updated');
  expect(outcome.mixed.data).toEqual({ base: 'x', ...Object.fromEntries(numbers.map((i) => [name(i), how(i)])) });
  const managers = appliers(outcome.mixed);
  expect([...managers.keys()].toSorted()).toEqual(names.filter((_, i) => i % 2 === 0));
});
