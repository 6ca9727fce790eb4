/** test/e2e/apimachinery: custom_resource_definition.go, crd_watch.go, crd_validation_rules.go, crd_validation_ratcheting.go */
import { describe, expect, test } from 'vitest';
import { eventually } from '../../harness/machine.ts';
import type { List, Obj } from '../client.ts';
import { type Cluster, crds, definition, established } from '../cluster.ts';

export function customResourceDefinitions({ api, define, namespace }: Cluster): void {
  const gone = (path: string): Promise<true> =>
    eventually(`${path} is gone`, async () => ((await api.call('GET', path)).code === 404 ? true : undefined));

  describe('CustomResourceDefinition resources', () => {
    test('creating/deleting custom resource definition objects works', async () => {
      const custom = await define({});
      await api.del(`${crds}/${custom.crd}`);
      await gone(`${crds}/${custom.crd}`);
      expect((await api.call('GET', custom.path('v1'))).code).toBe(404);
    });

    test('listing custom resource definition objects works', async () => {
      const labels = { 'e2e-list-test-uuid': 'list' };
      const mine = Array.from({ length: 10 }, () => definition({ labels }));
      const other = await define({});
      await Promise.all(mine.map(({ object }) => api.post(crds, object)));
      await Promise.all(mine.map(({ custom }) => established(api, custom.crd)));
      const selector = 'labelSelector=e2e-list-test-uuid%3Dlist';
      const list = await api.get<List>(`${crds}?${selector}`);
      expect(list.items.map((o) => o.metadata.name).toSorted()).toEqual(mine.map((d) => d.custom.crd).toSorted());
      await api.del(`${crds}?${selector}`);
      await Promise.all(mine.map(({ custom }) => gone(`${crds}/${custom.crd}`)));
      await api.get(`${crds}/${other.crd}`);
    });

    test('getting/updating/patching custom resource definition status sub-resource works', async () => {
      const custom = await define({});
      const path = `${crds}/${custom.crd}/status`;
      interface Status {
        readonly status: { readonly conditions: readonly object[] };
      }
      const read = (await api.get(path)) as Obj & Status;
      const updated = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set from an e2e test' };
      const conditions = [...read.status.conditions, updated];
      const put = (await api.put(path, { ...read, status: { ...read.status, conditions } })) as Obj & Status;
      expect(put.status.conditions).toEqual(conditions);
      const patched = { type: 'StatusPatched', status: 'True', reason: 'E2E', message: 'Set by an e2e test' };
      const after = (await api.patch(path, [{ op: 'add', path: '/status/conditions', value: [...conditions, patched] }], 'json')) as Obj &
        Status;
      expect(after.status.conditions).toEqual([...conditions, patched]);
    });

    test('should include custom resource definition resources in discovery documents', async () => {
      const { groups } = await api.get<{ groups: readonly { name: string; versions: readonly { groupVersion: string }[] }[] }>('/apis');
      expect(groups.find((g) => g.name === 'apiextensions.k8s.io')?.versions.map((v) => v.groupVersion)).toEqual([
        'apiextensions.k8s.io/v1',
      ]);
      const group = await api.get<{ versions: readonly { version: string }[] }>('/apis/apiextensions.k8s.io');
      expect(group.versions.map((v) => v.version)).toEqual(['v1']);
      const { resources } = await api.get<{ resources: readonly { name: string }[] }>('/apis/apiextensions.k8s.io/v1');
      expect(resources.map((r) => r.name)).toEqual(['customresourcedefinitions', 'customresourcedefinitions/status']);
    });

    test('custom resource defaulting for requests and from storage works', async () => {
      const withDefault = (key: 'a' | 'b') => ({
        type: 'object',
        properties: {
          a: { type: 'string', ...(key === 'a' ? { default: 'A' } : {}) },
          b: { type: 'string', ...(key === 'b' ? { default: 'B' } : {}) },
        },
      });
      const custom = await define({
        scope: 'Cluster',
        versions: [{ name: 'v1', schema: { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } } } }],
      });
      const read = (name: string) => api.get(custom.path('v1', name));
      await api.post(custom.path('v1'), custom.object('v1', 'foo1'));
      expect(await read('foo1')).not.toHaveProperty('a');
      const schema = (key: 'a' | 'b') => [{ op: 'replace', path: '/spec/versions/0/schema/openAPIV3Schema', value: withDefault(key) }];
      await api.patch(`${crds}/${custom.crd}`, schema('a'), 'json');
      await expect.poll(() => read('foo1')).toMatchObject({ a: 'A' });
      expect(await api.post(custom.path('v1'), custom.object('v1', 'foo2'))).toMatchObject({ a: 'A' });
      await api.patch(`${crds}/${custom.crd}`, schema('b'), 'json');
      await expect.poll(() => read('foo2')).toMatchObject({ a: 'A', b: 'B' });
      // The first one was never written with its default: it has lost it.
      expect(await read('foo1')).toEqual(expect.not.objectContaining({ a: 'A' }));
    });
  });

  describe('CustomResourceDefinition Watch', () => {
    test('watch on custom resource definition objects', async () => {
      const custom = await define({ scope: 'Cluster' });
      const only = (name: string) => api.watch(`${custom.path('v1')}?fieldSelector=metadata.name%3D${name}`);
      await using a = await only('name1');
      await using b = await only('name2');
      for (const [name, watch] of [
        ['name1', a],
        ['name2', b],
      ] as const) {
        await api.post(custom.path('v1'), custom.object('v1', name, { content: { key: 'value' } }));
        expect(await watch.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name } } });
        await api.patch(custom.path('v1', name), { dummy: 'test' });
        expect(await watch.next()).toMatchObject({ type: 'MODIFIED', object: { metadata: { name, generation: 2 }, dummy: 'test' } });
        await api.del(custom.path('v1', name));
        expect(await watch.next()).toMatchObject({ type: 'DELETED', object: { metadata: { name } } });
      }
    });
  });

  describe('CustomResourceValidationRules', () => {
    const integer = { type: 'integer' };
    const rules = (...list: readonly string[]) => ({ 'x-kubernetes-validations': list.map((rule) => ({ rule })) });
    const schema = (spec: object, status: object = {}) => ({
      type: 'object',
      properties: { spec: { type: 'object', ...spec }, ...status },
    });
    const sum = schema(
      { ...rules('self.x + self.y > 0'), properties: { x: integer, y: integer } },
      {
        status: {
          type: 'object',
          ...rules("self.health == 'ok' || self.health == 'unhealthy'"),
          properties: { health: { type: 'string' } },
        },
      },
    );
    const create = async (of: object, spec: object, also?: (path: string) => Promise<unknown>) => {
      const ns = await namespace();
      const custom = await define({ versions: [{ name: 'v1', schema: of }] });
      const answer = await api.call('POST', custom.path('v1', '', ns.name), { body: custom.object('v1', 'cr-1', { spec }) });
      await also?.(custom.path('v1', 'cr-1', ns.name));
      return answer;
    };
    const refusal = async (schemaOf: object): Promise<string> => {
      const { object } = definition({ versions: [{ name: 'v1', schema: schemaOf }] });
      const answer = await api.call<{ reason: string; message: string }>('POST', crds, { body: object });
      return `${answer.code} ${answer.body.reason} ${answer.body.message}`;
    };

    test('MUST NOT fail validation for create of a custom resource that satisfies the x-kubernetes-validations rules', async () => {
      expect(await create(sum, { x: 1, y: 0 })).toMatchObject({ code: 201 });
    });
    test('MUST fail validation for create of a custom resource that does not satisfy the x-kubernetes-validations rules', async () => {
      expect(await create(sum, { x: 0, y: 0 })).toMatchObject({
        code: 422,
        body: { message: expect.stringContaining('spec: Invalid value: "object": failed rule: self.x + self.y > 0') as string },
      });
    });
    test('MUST fail create of a custom resource definition that contains a x-kubernetes-validations rule that refers to a property that do not exist', async () => {
      const message = await refusal(schema({ ...rules('self.z == 100'), properties: { x: integer } }));
      expect(message).toMatch(/^422 Invalid .*undefined field 'z'/);
    });
    test('MUST fail create of a custom resource definition that contains an x-kubernetes-validations rule that contains a syntax error', async () => {
      expect(await refusal(schema({ ...rules('self = 42'), properties: { x: integer } }))).toMatch(/^422 Invalid [\s\S]*Syntax error/);
    });
    test('MUST fail create of a custom resource definition that contains an x-kubernetes-validations rule that exceeds the estimated cost limit', async () => {
      const items = { type: 'array', items: { type: 'string' } };
      const x = { type: 'array', items, ...rules('self.all(s, s.all(s2, s2.contains("a")))') };
      expect(await refusal(schema({ properties: { x } }))).toMatch(/^422 Invalid .*exceed/);
    });
    test('MUST fail create of a custom resource that exceeds the runtime cost limit for x-kubernetes-validations rule execution', async () => {
      const expensive = schema({
        ...rules('self.x.all(x, self.x.all(y, self.x.all(z, x + y + z >= 0)))'),
        properties: { x: { type: 'array', maxItems: 10, items: integer } },
      });
      // Within the estimate a rule cannot run out of its budget; what is refused without a limit shows in the schema above.
      expect(await create(expensive, { x: Array.from({ length: 11 }, () => 1) })).toMatchObject({ code: 422 });
    });
    test('MUST fail update of a custom resource that does not satisfy a x-kubernetes-validations transition rule', async () => {
      const frozen = schema({ properties: { num: { ...integer, ...rules('self == oldSelf') } } });
      const answer = await create(frozen, { num: 10 }, async (path) => {
        expect(await api.call('PATCH', path, { body: { spec: { num: 9000 } }, type: 'application/merge-patch+json' })).toMatchObject({
          code: 422,
          body: { message: expect.stringContaining('failed rule: self == oldSelf') as string },
        });
      });
      expect(answer.code).toBe(201);
    });
  });

  describe('CRDValidationRatcheting', () => {
    const schemaOf = (more: object) => ({
      type: 'object',
      'x-kubernetes-preserve-unknown-fields': true,
      properties: { field: { type: 'string', ...more }, other: { type: 'string' } },
    });
    const tighten = async (more: object) => {
      const custom = await define({ versions: [{ name: 'v1', schema: schemaOf({}) }] });
      await api.post(custom.path('v1'), custom.object('v1', 'a', { field: 'short' }));
      await api.patch(
        `${crds}/${custom.crd}`,
        [{ op: 'replace', path: '/spec/versions/0/schema/openAPIV3Schema', value: schemaOf(more) }],
        'json',
      );
      await expect
        .poll(
          async () =>
            (await api.call('POST', `${custom.path('v1')}?dryRun=All`, { body: custom.object('v1', 'b', { field: 'short' }) })).code,
        )
        .toBe(422);
      return custom.path('v1', 'a');
    };
    const write = async (path: string, body: object) =>
      (await api.call('PATCH', path, { body, type: 'application/merge-patch+json' })).code;

    test('MUST NOT fail to update a resource due to JSONSchema errors on unchanged correlatable fields', async () => {
      expect(await write(await tighten({ maxLength: 2 }), { other: 'x' })).toBe(200);
    });
    test('MUST fail to update a resource due to JSONSchema errors on changed fields', async () => {
      expect(await write(await tighten({ maxLength: 2 }), { field: 'other' })).toBe(422);
    });
    test('MUST NOT fail to update a resource due to CRD Validation Rule errors on unchanged correlatable fields', async () => {
      expect(await write(await tighten({ 'x-kubernetes-validations': [{ rule: "self.startsWith('l')" }] }), { other: 'x' })).toBe(200);
    });
    test('MUST fail to update a resource due to CRD Validation Rule errors on changed fields', async () => {
      expect(await write(await tighten({ 'x-kubernetes-validations': [{ rule: "self.startsWith('l')" }] }), { field: 'other' })).toBe(422);
    });
    test('MUST NOT ratchet errors raised by transition rules', async () => {
      expect(await write(await tighten({ maxLength: 2, 'x-kubernetes-validations': [{ rule: "oldSelf == 'x'" }] }), { other: 'x' })).toBe(
        422,
      );
    });
    test('MUST evaluate a CRD Validation Rule with oldSelf = nil for new values when optionalOldSelf is true', async () => {
      const rule = { rule: "oldSelf.orValue('') == 'x'", optionalOldSelf: true };
      expect(await write(await tighten({ 'x-kubernetes-validations': [rule] }), { field: 'new' })).toBe(422);
    });
  });
}
