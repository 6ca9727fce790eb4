/** test/integration/apiserver/apiserver_test.go: tests are named as there. */
import { describe, expect, test } from 'vitest';
import type { List } from '../client.ts';
import type { Cluster } from '../cluster.ts';

interface Table {
  readonly kind: string;
  readonly columnDefinitions: readonly { readonly name: string }[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
}

export function apiserver({ api, anonymous, namespace, define }: Cluster): void {
  const map = (name: string, more: object = {}) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...more } });

  describe('apiserver_test.go', () => {
    test('Test202StatusCode: only a cascading deletion that is not done at once is merely accepted', async () => {
      const ns = await namespace();
      const held = { finalizers: ['example.com/held'] };
      for (const [i, [metadata, options, code]] of (
        [
          [{}, {}, 200],
          [held, {}, 200],
          [{}, { orphanDependents: false }, 200],
          [held, { orphanDependents: false }, 202],
          [held, { orphanDependents: true }, 200],
          [held, { propagationPolicy: 'Foreground' }, 200],
        ] as const
      ).entries()) {
        await api.post(ns.in('configmaps'), map(`cm-${i}`, metadata));
        const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...options };
        expect({ i, code: (await api.call('DELETE', ns.in('configmaps', `cm-${i}`), { body })).code }).toEqual({ i, code });
      }
    });

    test('Test4xxStatusCodeInvalidPatch', async () => {
      const ns = await namespace();
      await api.post(ns.in('configmaps'), map('a'));
      for (const type of ['application/json-patch+json', 'application/merge-patch+json', 'application/strategic-merge-patch+json'])
        for (const body of ['{', '[', 'null', '17', '"x"', '{"metadata":', '[{"op":']) {
          const { code } = await api.call('PATCH', ns.in('configmaps', 'a'), { body, type });
          expect({ type, body, code }).toMatchObject({ code: expect.toSatisfy((c: number) => c >= 400 && c < 500) as number });
        }
    });

    test('TestCacheControl: nothing may be kept by anybody in between', async () => {
      for (const path of ['/', '/api', '/apis', '/version', '/openapi/v2', '/openapi/v3', '/apis/apps/v1', '/api/v1/namespaces/default']) {
        for (const client of [api, anonymous]) {
          const { headers } = await client.call('GET', path);
          expect({ path, control: headers['cache-control'] }).toEqual({ path, control: 'no-cache, private' });
        }
      }
    });

    test('TestNameInFieldSelector: one name in all namespaces', async () => {
      const [one, two] = [await namespace(), await namespace()];
      for (const ns of [one, two])
        for (const name of ['foo', 'bar']) await api.post(ns.in('secrets'), { apiVersion: 'v1', kind: 'Secret', metadata: { name } });
      const count = async (path: string, selector: string): Promise<number> =>
        (await api.get<List>(`${path}?fieldSelector=${encodeURIComponent(selector)}`)).items.length;
      expect(await count('/api/v1/secrets', 'metadata.name=foo')).toBe(2);
      expect(await count(one.in('secrets'), 'metadata.name=foo')).toBe(1);
      expect(await count('/api/v1/secrets', `metadata.name=foo,metadata.namespace=${two.name}`)).toBe(1);
      expect(await count(one.in('secrets'), `metadata.namespace=${two.name}`)).toBe(0);
      expect(await count(one.in('secrets'), 'metadata.name=foo,metadata.name=bar')).toBe(0);
      expect(await count(one.in('secrets'), 'metadata.name!=foo')).toBe(1);
    });

    test('TestGetSubresourcesAsTables', async () => {
      const ns = await namespace();
      const custom = await define({
        versions: [
          {
            name: 'v1',
            subresources: { status: {}, scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' } },
          },
        ],
      });
      await api.post(custom.path('v1', '', ns.name), custom.object('v1', 'cr', { spec: { replicas: 3 } }));
      await api.post(ns.in('pods'), {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'pod' },
        spec: { containers: [{ name: 'c', image: 'i' }] },
      });
      const selector = { a: 'b' };
      await api.post(ns.in('replicationcontrollers'), {
        apiVersion: 'v1',
        kind: 'ReplicationController',
        metadata: { name: 'rc' },
        spec: { replicas: 0, selector, template: { metadata: { labels: selector }, spec: { containers: [{ name: 'c', image: 'i' }] } } },
      });
      for (const [path, columns] of [
        [`${custom.path('v1', 'cr', ns.name)}/status`, ['Name', 'Age']],
        [`${custom.path('v1', 'cr', ns.name)}/scale`, ['Name', 'Desired', 'Available', 'Age']],
        [ns.in('pods', 'pod', 'status'), ['Name', 'Ready', 'Status', 'Restarts', 'Age', 'IP', 'Node', 'Nominated Node', 'Readiness Gates']],
        [ns.in('replicationcontrollers', 'rc', 'scale'), ['Name', 'Desired', 'Available', 'Age']],
      ] as const) {
        const { body } = await api.call<Table>('GET', path, { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } });
        expect({ path, kind: body.kind, columns: body.columnDefinitions.map((c) => c.name) }).toEqual({ path, kind: 'Table', columns });
        expect(body.rows).toHaveLength(1);
      }
    });

    test('TestMetadataClient: metadata of objects, lists and custom resources alone', async () => {
      const ns = await namespace();
      const custom = await define({});
      await api.post(ns.in('services'), {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'test-1', annotations: { foo: 'bar' } },
        spec: { ports: [{ port: 1000 }] },
      });
      await api.post(custom.path('v1', '', ns.name), custom.object('v1', 'test-1', { spec: { x: 1 } }));
      for (const path of [ns.in('services'), custom.path('v1', '', ns.name)]) {
        const list = await api.call<List>('GET', path, {
          headers: { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' },
        });
        expect(list.body.items.map((o) => Object.keys(o).toSorted())).toEqual([['apiVersion', 'kind', 'metadata']]);
        const one = await api.call('GET', `${path}/test-1`, {
          headers: { accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io' },
        });
        expect(one.body).toMatchObject({
          kind: 'PartialObjectMetadata',
          apiVersion: 'meta.k8s.io/v1',
          metadata: { name: 'test-1', namespace: ns.name },
        });
        const patched = await api.call('PATCH', `${path}/test-1`, {
          body: { metadata: { annotations: { foo: 'baz' } } },
          type: 'application/merge-patch+json',
          headers: { accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io' },
        });
        expect(patched.body).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { annotations: { foo: 'baz' } } });
      }
    });

    test('TestListOptions: a list that asks for what cannot be is refused', async () => {
      const ns = await namespace();
      for (const [query, message] of [
        [
          'resourceVersionMatch=Exact',
          'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
        ],
        [
          'resourceVersionMatch=Other&resourceVersion=1',
          'resourceVersionMatch: Unsupported value: "Other": supported values: "Exact", "NotOlderThan", ""',
        ],
        [
          'resourceVersionMatch=Exact&resourceVersion=0',
          'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ],
      ] as const)
        expect(await api.call('GET', `${ns.in('configmaps')}?${query}`)).toMatchObject({
          code: 422,
          body: { message: expect.stringContaining(message) as string },
        });
    });
  });
}
