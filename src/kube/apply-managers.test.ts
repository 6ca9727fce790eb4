import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyPatch, updateManagedFields } from './apply.ts';
import { managerName } from './apply-managers.ts';
import type { ManagedFieldsEntry } from './generated/meta-v1.ts';
import type { JsonObject } from './json-value.ts';
import type { Schema } from './schema.ts';
import { kindSchema, resolveSchema } from './schema-registry.ts';

const resolve = (ref: string): Schema => resolveSchema({ ref });
const schemaOf = (group: string, version: string, kind: string): Schema => kindSchema(group, version, kind) ?? {};
const deployments = { schema: schemaOf('apps', 'v1', 'Deployment'), resolve, apiVersion: 'apps/v1', ignored: [['status']] };
const configMaps = { schema: schemaOf('', 'v1', 'ConfigMap'), resolve, apiVersion: 'v1' };
const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

const configMap = (data: Record<string, string>, metadata: object = {}): JsonObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'x', namespace: 'default', ...metadata },
  data,
});
const withEntries = (object: JsonObject, managedFields: readonly ManagedFieldsEntry[]): JsonObject => ({
  ...object,
  metadata: { ...(object['metadata'] as object), uid: '1', managedFields },
});
const entriesOf = (object: JsonObject): ManagedFieldsEntry[] =>
  (object['metadata'] as { managedFields?: ManagedFieldsEntry[] }).managedFields ?? [];

function create(object: JsonObject, manager: string, second = 0): JsonObject {
  return withEntries(object, updateManagedFields({ ...configMaps, manager, now: at(second), live: undefined, next: object }));
}
function change(live: JsonObject, object: JsonObject, manager: string, second = 0): JsonObject {
  return withEntries(object, updateManagedFields({ ...configMaps, manager, now: at(second), live, next: object }));
}

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default', labels: { app: 'web' }, creationTimestamp: null },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: 'web' } },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        containers: [
          {
            name: 'web',
            image: 'nginx',
            ports: [{ containerPort: 80, protocol: 'TCP' }],
            resources: {},
            livenessProbe: { httpGet: { path: '/', port: 80 } },
          },
        ],
        securityContext: {},
        nodeSelector: { a: 'b' },
      },
    },
  },
  status: {},
};

test('a created Deployment is owned as kube-apiserver says it is', () => {
  const [entry] = updateManagedFields({ ...deployments, manager: 'kubectl-create', now: at(0), live: undefined, next: deployment });
  expect(entry).toEqual({
    manager: 'kubectl-create',
    operation: 'Update',
    apiVersion: 'apps/v1',
    time: '2026-01-01T00:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1: {
      'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
      'f:spec': {
        'f:replicas': {},
        'f:selector': {},
        'f:strategy': { 'f:rollingUpdate': { '.': {}, 'f:maxSurge': {}, 'f:maxUnavailable': {} }, 'f:type': {} },
        'f:template': {
          'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
          'f:spec': {
            'f:containers': {
              'k:{"name":"web"}': {
                '.': {},
                'f:image': {},
                'f:livenessProbe': { '.': {}, 'f:httpGet': { '.': {}, 'f:path': {}, 'f:port': {} } },
                'f:name': {},
                'f:ports': { '.': {}, 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {}, 'f:protocol': {} } },
                'f:resources': {},
              },
            },
            'f:nodeSelector': {},
            'f:securityContext': {},
          },
        },
      },
    },
  });
  expect(JSON.stringify(entry?.fieldsV1)).toMatch(/^\{"f:metadata":\{"f:labels":\{"\.":\{\},"f:app":\{\}\}\},"f:spec":/);
});

test('a subresource has an entry of its own, and only for what it may write', () => {
  const live = withEntries(
    deployment,
    updateManagedFields({ ...deployments, manager: 'a', now: at(0), live: undefined, next: deployment }),
  );
  const next = { ...live, spec: { ...deployment.spec, replicas: 9 }, status: { replicas: 3 } };
  const entries = updateManagedFields({
    ...deployments,
    manager: 'controller',
    now: at(1),
    live,
    next,
    subresource: 'status',
    ignored: [['spec'], ['metadata']],
  });
  expect(entries.at(-1)).toEqual({
    manager: 'controller',
    operation: 'Update',
    apiVersion: 'apps/v1',
    time: '2026-01-01T00:00:01Z',
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:status': { 'f:replicas': {} } },
    subresource: 'status',
  });
  expect(entries[0]).toBe(entriesOf(live)[0]);
});

describe('conflicts', () => {
  const config = (spec: object): JsonObject => ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec });
  const live = withEntries(
    deployment,
    updateManagedFields({ ...deployments, manager: 'kubectl-client-side-apply', now: at(0), live: undefined, next: deployment }),
  );

  test('one has upstream’s message and cause', () => {
    expect(() => applyPatch({ ...deployments, manager: 'me', now: at(1), live, patch: config({ replicas: 5 }), force: false })).toThrow(
      expect.objectContaining({
        reason: 'Conflict',
        code: 409,
        message: 'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas',
        details: {
          causes: [
            {
              reason: 'FieldManagerConflict',
              message: 'conflict with "kubectl-client-side-apply" using apps/v1',
              field: '.spec.replicas',
            },
          ],
        },
      }),
    );
  });

  test('several are listed by manager', () => {
    const patch = config({ replicas: 5, template: { spec: { containers: [{ name: 'web', image: 'other' }] } } });
    expect(() => applyPatch({ ...deployments, manager: 'me', now: at(1), live, patch, force: false })).toThrow(
      'Apply failed with 2 conflicts: conflicts with "kubectl-client-side-apply" using apps/v1:\n' +
        '- .spec.replicas\n- .spec.template.spec.containers[name="web"].image',
    );
  });

  test('force resolves them for the applier', () => {
    const { object } = applyPatch({ ...deployments, manager: 'me', now: at(1), live, patch: config({ replicas: 5 }), force: true });
    expect((object['spec'] as { replicas: number }).replicas).toBe(5);
    const [mine, theirs] = entriesOf(object);
    expect(mine).toMatchObject({ manager: 'me', operation: 'Apply', fieldsV1: { 'f:spec': { 'f:replicas': {} } } });
    expect(JSON.stringify(theirs?.fieldsV1)).not.toContain('f:replicas');
  });
});

describe('migration from client-side apply', () => {
  const last = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { annotations: {}, name: 'x', namespace: 'default' }, data: { a: '1' } };
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': `${JSON.stringify(last)}\n` };
  const live = create(configMap({ a: '1', b: '2' }, { annotations }), 'kubectl-client-side-apply');

  test('kubectl may change what it set itself before', () => {
    const patch = configMap({ a: '3' });
    const { object } = applyPatch({ ...configMaps, manager: 'kubectl', now: at(1), live, patch, force: false });
    expect(object['data']).toEqual({ a: '3', b: '2' });
    const text = (object['metadata'] as { annotations: Record<string, string> }).annotations[
      'kubectl.kubernetes.io/last-applied-configuration'
    ];
    expect(JSON.parse(text ?? '')).toEqual(patch);
  });

  test('others may not, and nor may kubectl for what it did not set', () => {
    expect(() => applyPatch({ ...configMaps, manager: 'flux', now: at(1), live, patch: configMap({ a: '3' }), force: false })).toThrow(
      'conflict with "kubectl-client-side-apply" using v1: .data.a',
    );
    expect(() => applyPatch({ ...configMaps, manager: 'kubectl', now: at(1), live, patch: configMap({ b: '3' }), force: false })).toThrow(
      'conflict with "kubectl-client-side-apply" using v1: .data.b',
    );
  });

  test('an object without managers gets "before-first-apply"', () => {
    const patch = configMap({ a: '3' });
    const live = configMap({ a: '1' }, { uid: '1' });
    expect(() => applyPatch({ ...configMaps, manager: 'me', now: at(1), live, patch, force: false })).toThrow(
      'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a',
    );
    const { object } = applyPatch({ ...configMaps, manager: 'me', now: at(1), live, patch: configMap({ c: '3' }), force: false });
    expect(entriesOf(object).map((e) => [e.manager, e.operation, e.fieldsV1])).toEqual([
      ['me', 'Apply', { 'f:data': { 'f:c': {} } }],
      ['before-first-apply', 'Update', { 'f:data': { '.': {}, 'f:a': {} } }],
    ]);
  });
});

describe('managedFields', () => {
  test('an object that has none keeps having none', () => {
    const live = configMap({ a: '1' }, { uid: '1' });
    expect(updateManagedFields({ ...configMaps, manager: 'm', now: at(0), live, next: configMap({ a: '2' }, { uid: '1' }) })).toEqual([]);
  });

  test('nothing changes where nothing changed', () => {
    const live = create(configMap({ a: '1' }), 'one');
    const entries = entriesOf(live);
    expect(updateManagedFields({ ...configMaps, manager: 'two', now: at(5), live, next: { ...live } })).toBe(entries);
    const metadata = { ...(live['metadata'] as object), resourceVersion: '7', generation: 3 };
    expect(updateManagedFields({ ...configMaps, manager: 'two', now: at(5), live, next: { ...live, metadata } })).toBe(entries);
  });

  test('an applier that applies the same again changes nothing, not even times', () => {
    const patch = configMap({ a: '1' });
    const first = applyPatch({ ...configMaps, manager: 'm', now: at(0), live: undefined, patch, force: false }).object;
    expect(applyPatch({ ...configMaps, manager: 'm', now: at(9), live: first, patch, force: false }).object).toBe(first);
  });

  test('the time of an updater moves when it changes a value it owns, and no other entry is made anew', () => {
    const live = change(create(configMap({ a: '1' }), 'one', 0), configMap({ a: '1', b: '1' }), 'two', 1);
    const entries = entriesOf(change(live, configMap({ a: '1', b: '2' }), 'two', 2));
    expect(entries.map((e) => [e.manager, e.time])).toEqual([
      ['one', '2026-01-01T00:00:00Z'],
      ['two', '2026-01-01T00:00:02Z'],
    ]);
    expect(entries[0]).toBe(entriesOf(live)[0]);
  });

  test('more than ten updaters are merged, oldest first', () => {
    let live = create(configMap({ k0: '0' }), 'm0', 0);
    for (let i = 1; i <= 12; i++) {
      const data = { ...(live['data'] as Record<string, string>), [`k${i}`]: '1' };
      live = change(live, configMap(data), `m${i}`, i);
    }
    const entries = entriesOf(live);
    expect(entries).toHaveLength(10);
    expect(entries[0]).toMatchObject({
      manager: 'ancient-changes',
      time: '2026-01-01T00:00:03Z',
      fieldsV1: { 'f:data': { '.': {}, 'f:k0': {}, 'f:k1': {}, 'f:k2': {}, 'f:k3': {} } },
    });
  });

  test('clients may rewrite them, forget to send them, or reset them', () => {
    const live = create(configMap({ a: '1' }), 'one');
    const next = (managedFields?: unknown): JsonObject => configMap({ a: '1' }, { uid: '1', ...(managedFields ? { managedFields } : {}) });
    const entries = (sent?: unknown): readonly ManagedFieldsEntry[] =>
      updateManagedFields({ ...configMaps, manager: 'two', now: at(1), live, next: next(sent) });
    expect(entries()).toBe(entriesOf(live));
    expect(entries([])).toBe(entriesOf(live));
    expect(entries([{}])).toEqual([]);
    const renamed = [{ ...entriesOf(live)[0], manager: 'other' }];
    expect(entries(renamed)).toEqual(renamed);
    expect(entries([{ manager: 'x', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { bad: {} } }])).toBe(
      entriesOf(live),
    );
  });

  test('may not be applied', () => {
    const patch = configMap({}, { managedFields: [] });
    expect(() => applyPatch({ ...configMaps, manager: 'm', now: at(0), live: undefined, patch, force: false })).toThrow(
      'metadata.managedFields must be nil',
    );
  });

  test('names of managers come from the option, the User-Agent or nothing', () => {
    expect(managerName('me', 'x/1')).toBe('me');
    expect(managerName('', 'kubectl/v1.36.0 (linux/amd64)')).toBe('kubectl');
    expect(managerName(undefined, undefined)).toBe('unknown');
    expect(managerName(undefined, `\u0007a\u0000b${'é'.repeat(200)}/1`)).toBe(`ab${'é'.repeat(63)}`);
  });
});

describe('a configuration that does not fit is refused', () => {
  const base = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace: 'default' } };
  const containers = (...list: unknown[]): object => ({ ...base, spec: { template: { spec: { containers: list } } } });
  const prefix = 'failed to create typed patch object (default/web; apps/v1, Kind=Deployment): ';

  test.each<[string, unknown, string]>([
    ['unknown field', { ...base, spec: { foo: 1 } }, `${prefix}.spec.foo: field not declared in schema`],
    ['wrong type', { ...base, spec: { replicas: 'x' } }, `${prefix}.spec.replicas: expected numeric (int or float), got "x"`],
    ['no map', { ...base, spec: [] }, `${prefix}.spec: expected map, got []`],
    ['no list', { ...base, spec: { template: { spec: { containers: {} } } } }, `${prefix}.spec.template.spec.containers: expected list`],
    [
      'duplicates',
      containers({ name: 'a' }, { name: 'a' }),
      `${prefix}.spec.template.spec.containers: duplicate entries for key [name="a"]`,
    ],
    [
      'no key',
      containers({ image: 'x' }),
      `${prefix}.spec.template.spec.containers: element 0: associative list with keys has an element that omits key field "name"`,
    ],
    [
      'other version',
      { ...base, apiVersion: 'apps/v1beta1' },
      'Incorrect version specified in apply patch. Specified patch version: apps/v1beta1',
    ],
    ['no object', 'x', 'error decoding YAML'],
  ])('%s', (_title, patch, message) => {
    expect(() => applyPatch({ ...deployments, manager: 'm', now: at(0), live: undefined, patch, force: false })).toThrow(message);
  });
});

test('keys such as __proto__ are keys like any other', () => {
  const patch = JSON.parse(
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"__proto__":"1","constructor":"2"}}',
  ) as JsonObject;
  const { object } = applyPatch({ ...configMaps, manager: 'm', now: at(0), live: configMap({ a: '1' }), patch, force: true });
  expect(JSON.stringify(object['data'])).toBe('{"a":"1","__proto__":"1","constructor":"2"}');
  const next = applyPatch({ ...configMaps, manager: 'm', now: at(1), live: object, patch: configMap({ b: '2' }), force: true }).object;
  expect(JSON.stringify(next['data'])).toBe('{"a":"1","b":"2"}');
});

test('whatever is applied in whatever order: each applier’s configuration is in the object, and what nobody applies is gone', () => {
  const data = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2'), { maxKeys: 4 });
  const op = fc.record({ manager: fc.constantFrom('one', 'two', 'three'), data });
  fc.assert(
    fc.property(fc.array(op, { maxLength: 12 }), (ops) => {
      let live: JsonObject | undefined;
      const last = new Map<string, Record<string, string>>();
      for (const [i, o] of ops.entries()) {
        live = applyPatch({ ...configMaps, manager: o.manager, now: at(i), live, patch: configMap(o.data), force: true }).object;
        for (const [other, theirs] of last) {
          const kept = Object.entries(theirs).filter(([k, v]) => !Object.hasOwn(o.data, k) || o.data[k] === v);
          last.set(other, Object.fromEntries(kept));
        }
        last.set(o.manager, o.data);
        const expected = Object.assign({}, ...last.values()) as Record<string, string>;
        expect({ ...((live['data'] as object | undefined) ?? {}) }).toEqual({ ...expected });
        for (const entry of entriesOf(live)) {
          const owned = Object.keys((entry.fieldsV1 as { 'f:data'?: object })['f:data'] ?? {}).filter((k) => k !== '.');
          expect(owned.sort()).toEqual(
            Object.keys(last.get(entry.manager ?? '') ?? {})
              .map((k) => `f:${k}`)
              .sort(),
          );
        }
      }
    }),
  );
});

describe('managers in several versions', () => {
  // Each version calls the same scalar by its own name.
  const schemaIn = (version: string): Schema => ({
    type: 'object',
    properties: {
      apiVersion: { type: 'string' },
      struct: { type: 'object', properties: { name: { type: 'string' }, [`scalar_${version}`]: { type: 'string' } } },
    },
  });
  const rename = (from: string, to: string) => (object: unknown) =>
    JSON.parse(
      JSON.stringify(object).replaceAll(`_${from}"`, `_${to}"`).replace(`"apiVersion":"${from}"`, `"apiVersion":"${to}"`),
    ) as unknown;
  const apply = (manager: string, version: string, live: JsonObject | undefined, struct: object): JsonObject => {
    const known = live === undefined ? undefined : (rename(String(live['apiVersion']), version)(live) as JsonObject);
    const entries = live === undefined ? [] : entriesOf(live);
    return applyPatch({
      manager,
      apiVersion: version,
      schema: schemaIn(version),
      resolve,
      now: at(0),
      live: known === undefined ? undefined : { ...known, metadata: { managedFields: entries } },
      patch: { apiVersion: version, struct },
      force: false,
      otherVersion: (other) =>
        other === 'gone' ? undefined : { schema: schemaIn(other), convert: rename(version, other), convertBack: rename(other, version) },
    }).object;
  };
  const versions = ['v1', 'v2', 'v3'];
  const triples = versions.flatMap((a) => versions.flatMap((b) => versions.map((c) => [a, b, c] as const)));

  test.each(triples)('%s, then %s: a field that its only applier gives up goes', (a, b) => {
    const first = apply('one', a, undefined, { name: 'a', [`scalar_${a}`]: 'a' });
    expect(apply('one', b, first, { name: 'a' })['struct']).toEqual({ name: 'a' });
  });

  test.each(triples)('%s, %s, %s: a field that another applier shares stays', (a, b, c) => {
    const first = apply('one', a, undefined, { name: 'a', [`scalar_${a}`]: 'a' });
    const second = apply('two', b, first, { [`scalar_${b}`]: 'a' });
    expect(apply('one', c, second, { name: 'a' })['struct']).toEqual({ name: 'a', [`scalar_${c}`]: 'a' });
  });

  test.each(triples)('%s, %s: another value is a conflict in the version of its owner', (a, b) => {
    const first = apply('one', a, undefined, { [`scalar_${a}`]: 'a' });
    expect(() => apply('two', b, first, { [`scalar_${b}`]: 'b' })).toThrow(`conflict with "one": .struct.scalar_${a}`);
  });
});
