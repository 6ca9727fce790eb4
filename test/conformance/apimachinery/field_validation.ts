/** test/e2e/apimachinery/field_validation.go */
import { describe, expect, test } from 'vitest';
import type { Answer } from '../client.ts';
import type { Cluster, Custom } from '../cluster.ts';
import { deployment, noxuSpec } from './objects.ts';

export function fieldValidation({ api, namespace, define }: Cluster): void {
  const strict = 'fieldManager=field_validation_mgr&fieldValidation=Strict';
  const apply = (custom: Custom, body: string): Promise<Answer> =>
    api.call('PATCH', `${custom.path('v1', 'mytest')}?${strict}`, {
      body: `apiVersion: ${custom.group}/v1\nkind: ${custom.kind}\n${body}`,
      type: 'application/apply-patch+yaml',
    });
  const rest = '  cronSpec: "* * * * */5"\n  ports:\n  - name: x\n    containerPort: 80\n    protocol: TCP';
  const meta = 'metadata:\n  name: mytest\n  finalizers:\n  - test-finalizer\n';

  describe('FieldValidation', () => {
    test('should detect unknown and duplicate fields of a typed object', async () => {
      const ns = await namespace();
      const body = JSON.stringify(deployment('my-dep')).replace('"spec":{', '"spec":{"unknownField":"foo","replicas":2,"replicas":3,');
      expect(await api.call('POST', `${ns.in('apps/v1 deployments')}?${strict}`, { body })).toMatchObject({
        code: 400,
        body: {
          reason: 'BadRequest',
          message: expect.stringContaining(
            'strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"',
          ) as string,
        },
      });
    });

    test('should detect unknown metadata fields of a typed object', async () => {
      const ns = await namespace();
      const object = deployment('my-dep');
      const body = { ...object, metadata: { ...object.metadata, unknownMeta: 'foo' } };
      expect(await api.call('POST', `${ns.in('apps/v1 deployments')}?${strict}`, { body })).toMatchObject({
        code: 400,
        body: { message: expect.stringContaining('strict decoding error: unknown field "metadata.unknownMeta"') as string },
      });
    });

    test('should create/apply a valid CR for CRD with validation schema', async () => {
      const custom = await define({ scope: 'Cluster', versions: [{ name: 'v1', schema: noxuSpec() }] });
      expect(await apply(custom, `${meta}spec:\n  foo: foo1\n${rest}`)).toMatchObject({ code: 201 });
    });

    test('should create/apply a CR with unknown fields for CRD with no validation schema', async () => {
      const custom = await define({ scope: 'Cluster' });
      expect(await apply(custom, `${meta}spec:\n  unknown: uk1\n${rest}`)).toMatchObject({ code: 201, body: { spec: { unknown: 'uk1' } } });
    });

    test('should create/apply an invalid CR with extra properties for CRD with validation schema', async () => {
      const custom = await define({ scope: 'Cluster', versions: [{ name: 'v1', schema: noxuSpec() }] });
      // 500 upstream, which counts as a bug there too (kubernetes/kubernetes#139253).
      expect(await apply(custom, `${meta}unknownField: unknown\nspec:\n  foo: foo1\n${rest}`)).toMatchObject({
        code: 400,
        body: { message: expect.stringContaining('.unknownField: field not declared in schema') as string },
      });
    });

    test('should detect unknown metadata fields in both the root and embedded object of a CR', async () => {
      const template = {
        type: 'object',
        'x-kubernetes-embedded-resource': true,
        properties: { metadata: { type: 'object', properties: { name: { type: 'string' } } }, spec: { type: 'object' } },
      };
      const schema = noxuSpec({ 'x-kubernetes-preserve-unknown-fields': true }, { template });
      const custom = await define({ scope: 'Cluster', versions: [{ name: 'v1', schema }] });
      const embedded =
        '  template:\n    apiversion: foo/v1\n    kind: Sub\n    metadata:\n      unknownSubMeta: unknown\n      name: subobject\n      namespace: x\n';
      const { text } = await apply(
        custom,
        `${meta.replace('mytest\n', 'mytest\n  unknownMeta: unknown\n')}spec:\n${embedded}  foo: foo1\n${rest}`,
      );
      expect(text).toMatch(
        /\.spec\.template\.metadata\.unknownSubMeta: field not declared in schema|\.metadata\.unknownMeta: field not declared in schema/,
      );
    });

    test('should detect duplicates in a CR when preserving unknown fields', async () => {
      const custom = await define({
        scope: 'Cluster',
        versions: [{ name: 'v1', schema: noxuSpec({ 'x-kubernetes-preserve-unknown-fields': true }) }],
      });
      const body = `\n${meta}spec:\n  unknown: uk1\n  foo: foo1\n  foo: foo2\n${rest}`;
      const answer = await apply(custom, body);
      // Upstream's body begins with an empty line, and so does this one: the line is counted from there.
      expect(answer.text).toMatch(/line 11: key \\"foo\\" already set in map/);
    });
  });
}
