/** test/e2e/apimachinery/table_conversion.go */
import { describe, expect, test } from 'vitest';
import type { Cluster } from '../cluster.ts';
import { pod } from './objects.ts';

interface Table {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly columnDefinitions: readonly { readonly name: string }[];
  readonly rows: readonly { readonly cells: readonly unknown[]; readonly object: { readonly kind: string } }[];
}

export function tableConversion({ api, namespace }: Cluster): void {
  const table = (path: string, version = 'v1beta1') =>
    api.call<Table>('GET', path, { headers: { accept: `application/json;as=Table;v=${version};g=meta.k8s.io` } });

  describe('Servers with support for Table transformation', () => {
    test('should return pod details', async () => {
      const ns = await namespace();
      await api.post(ns.in('pods'), pod('pod-1'));
      const { body } = await table(ns.in('pods', 'pod-1'));
      expect(body).toMatchObject({ apiVersion: 'meta.k8s.io/v1beta1', kind: 'Table' });
      expect(body.columnDefinitions.slice(0, 5).map((c) => c.name)).toEqual(['Name', 'Ready', 'Status', 'Restarts', 'Age']);
      expect(body.rows).toHaveLength(1);
      expect(body.rows[0]?.cells).toHaveLength(body.columnDefinitions.length);
      expect(body.rows[0]?.cells[0]).toBe('pod-1');
      expect(body.rows[0]?.object.kind).toBe('PartialObjectMetadata');
    });

    test('should return chunks of table results for list calls', async () => {
      const ns = await namespace();
      const name = (i: number): string => `template-${String(i).padStart(4, '0')}`;
      await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          api.post(ns.in('podtemplates'), {
            apiVersion: 'v1',
            kind: 'PodTemplate',
            metadata: { name: name(i) },
            template: { spec: { containers: [{ name: 'test', image: 'test2' }] } },
          }),
        ),
      );
      const { body } = await table(`${ns.in('podtemplates')}?limit=2`);
      expect(body.rows.map((r) => r.cells[0])).toEqual([name(0), name(1)]);
      expect(body.metadata.resourceVersion).toMatch(/^\d+$/);
      const next = await table(`${ns.in('podtemplates')}?continue=${body.metadata.continue}`);
      expect(next.body.rows.map((r) => r.cells[0])).toEqual(Array.from({ length: 18 }, (_, i) => name(i + 2)));
    });

    test('should return generic metadata details across all namespaces for nodes', async () => {
      await api.post('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'table-node' } });
      const { body } = await table('/api/v1/nodes');
      expect(body.columnDefinitions[0]?.name).toBe('Name');
      expect(body.rows.map((r) => r.cells[0])).toContain('table-node');
      expect(body.rows[0]?.cells).toHaveLength(body.columnDefinitions.length);
      expect(body.metadata.resourceVersion).toMatch(/^\d+$/);
      await api.del('/api/v1/nodes/table-node');
    });

    test('should return a 406 for a backend which does not implement metadata', async () => {
      const answer = await api.call('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
        headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { nonResourceAttributes: { path: '/', verb: 'get' } },
        },
      });
      expect(answer).toMatchObject({
        code: 406,
        body: { kind: 'Status', reason: 'NotAcceptable', code: 406 },
      });
    });
  });
}
