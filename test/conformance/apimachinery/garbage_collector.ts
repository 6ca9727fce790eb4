/** test/e2e/apimachinery/garbage_collector.go. Pods need no node for any of it. */
import { describe, expect, test } from 'vitest';
import { eventually } from '../../harness/machine.ts';
import type { List, Obj } from '../client.ts';
import type { Cluster, Namespace } from '../cluster.ts';
import { deployment, pod, podTemplate } from './objects.ts';

const options = (propagationPolicy: string, more: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: 'v1',
  kind: 'DeleteOptions',
  propagationPolicy,
  ...more,
});

export function garbageCollector({ api, namespace, define }: Cluster): void {
  const controller = (name: string, replicas: number, labels: Readonly<Record<string, string>> = { gc: 'test' }) => ({
    apiVersion: 'v1',
    kind: 'ReplicationController',
    metadata: { name },
    spec: { replicas, selector: labels, template: podTemplate(labels) },
  });
  const list = async (ns: Namespace, resource: string): Promise<readonly Obj[]> => (await api.get<List>(ns.in(resource))).items;
  const count = (ns: Namespace, resource: string, wanted: number): Promise<readonly Obj[]> =>
    eventually(`${wanted} ${resource}`, async () => {
      const items = await list(ns, resource);
      return items.length === wanted ? items : undefined;
    });
  const gone = (path: string): Promise<true> =>
    eventually(`${path} is gone`, async () => ((await api.call('GET', path)).code === 404 ? true : undefined));
  /** An object that the collector has dealt with after everything before it: when it is gone, what was to go is gone. */
  const settled = async (ns: Namespace): Promise<void> => {
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'none', uid: '00000000-0000-4000-8000-000000000000' };
    await api.post(ns.in('secrets'), { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'marker', ownerReferences: [owner] } });
    await gone(ns.in('secrets', 'marker'));
  };
  const ownerOf = ({ apiVersion, kind, metadata: { name, uid } }: Obj, more: object = {}) => ({ apiVersion, kind, name, uid, ...more });

  describe('Garbage collector', () => {
    test('should delete pods created by rc when not orphaning', async () => {
      const ns = await namespace();
      await api.post(ns.in('replicationcontrollers'), controller('simpletest.rc', 2));
      await count(ns, 'pods', 2);
      await api.del(ns.in('replicationcontrollers', 'simpletest.rc'), options('Background'));
      expect(await count(ns, 'pods', 0)).toEqual([]);
    });

    test('should orphan pods created by rc if delete options say so', async () => {
      const ns = await namespace();
      const path = ns.in('replicationcontrollers', 'simpletest.rc');
      await api.post(ns.in('replicationcontrollers'), controller('simpletest.rc', 20));
      await count(ns, 'pods', 20);
      await api.del(path, options('Orphan'));
      await gone(path);
      await settled(ns);
      const pods = await list(ns, 'pods');
      expect(pods).toHaveLength(20);
      expect(pods.flatMap((p) => p.metadata.ownerReferences ?? [])).toEqual([]);
    });

    test('should orphan pods created by rc if deleteOptions.OrphanDependents is nil', async () => {
      const ns = await namespace();
      const path = ns.in('replicationcontrollers', 'simpletest.rc');
      await api.post(ns.in('replicationcontrollers'), controller('simpletest.rc', 2));
      await count(ns, 'pods', 2);
      await api.del(path, { apiVersion: 'v1', kind: 'DeleteOptions' });
      await gone(path);
      await settled(ns);
      expect(await list(ns, 'pods')).toHaveLength(2);
    });

    test.each([
      ['should delete RS created by deployment when not orphaning', 'Background'],
      ['should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan', 'Orphan'],
    ])('%s', async (_title, policy) => {
      const ns = await namespace();
      const path = ns.in('apps/v1 deployments', 'simpletest');
      await api.post(ns.in('apps/v1 deployments'), deployment('simpletest', { replicas: 2 }));
      const [made] = await count(ns, 'apps/v1 replicasets', 1);
      await count(ns, 'pods', 2);
      expect(made?.metadata.ownerReferences).toHaveLength(1);
      await api.del(path, options(policy));
      await gone(path);
      if (policy === 'Background') {
        expect(await count(ns, 'apps/v1 replicasets', 0)).toEqual([]);
        expect(await count(ns, 'pods', 0)).toEqual([]);
        return;
      }
      await settled(ns);
      const [left] = await list(ns, 'apps/v1 replicasets');
      expect(left?.metadata.uid).toBe(made?.metadata.uid);
      expect(left?.metadata.ownerReferences).toBeUndefined();
      expect(await list(ns, 'pods')).toHaveLength(2);
    });

    test('should keep the rc around until all its pods are deleted if the deleteOptions says so', async () => {
      const ns = await namespace();
      const path = ns.in('replicationcontrollers', 'simpletest.rc');
      await api.post(ns.in('replicationcontrollers'), controller('simpletest.rc', 10));
      const pods = await count(ns, 'pods', 10);
      // One of them stays for a while.
      const held = pods[0]?.metadata.name ?? '';
      await api.patch(ns.in('pods', held), { metadata: { finalizers: ['example.com/held'] } });
      const { revision } = { revision: (await api.get(path)).metadata.resourceVersion };
      await using watch = await api.watch(`${ns.in('replicationcontrollers')}?resourceVersion=${revision}`);
      expect(await api.del(path, options('Foreground'))).toMatchObject({ metadata: { finalizers: ['foregroundDeletion'] } });
      await count(ns, 'pods', 1);
      expect(await api.get(path)).toMatchObject({ metadata: { deletionTimestamp: expect.any(String) as string } });
      await api.patch(ns.in('pods', held), { metadata: { finalizers: [] } });
      await watch.until((event) => event.type === 'DELETED');
      expect(await list(ns, 'pods')).toEqual([]);
    });

    test("should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted", async () => {
      const ns = await namespace();
      const at = (name: string): string => ns.in('replicationcontrollers', name);
      await api.post(ns.in('replicationcontrollers'), controller('to-be-deleted', 10));
      const stays = await api.post(ns.in('replicationcontrollers'), controller('to-stay', 0, { other: 'yes' }));
      const pods = await count(ns, 'pods', 10);
      const shared = pods.slice(0, 5);
      for (const { metadata } of shared)
        await api.patch(ns.in('pods', metadata.name), [{ op: 'add', path: '/metadata/ownerReferences/-', value: ownerOf(stays) }], 'json');
      await api.del(at('to-be-deleted'), options('Foreground'));
      await gone(at('to-be-deleted'));
      const left = await list(ns, 'pods');
      expect(left.map((p) => p.metadata.name).toSorted()).toEqual(shared.map((p) => p.metadata.name).toSorted());
      for (const { metadata } of left) {
        expect(metadata.deletionTimestamp).toBeUndefined();
        expect(metadata.ownerReferences?.map((o) => o['name'])).toEqual(['to-stay']);
      }
    });

    test('should not be blocked by dependency circle', async () => {
      const ns = await namespace();
      const pods: Obj[] = [];
      for (const name of ['pod1', 'pod2', 'pod3']) pods.push(await api.post(ns.in('pods'), pod(name)));
      // pod1 belongs to pod3, pod2 to pod1 and pod3 to pod2.
      for (const [i, { metadata }] of pods.entries()) {
        const owner = pods[(i + 2) % 3];
        if (owner === undefined) throw new Error('no owner');
        const ownerReferences = [ownerOf(owner, { controller: true, blockOwnerDeletion: true })];
        await api.patch(ns.in('pods', metadata.name), { metadata: { ownerReferences } });
      }
      await api.del(ns.in('pods', 'pod1'), options('Foreground'));
      expect(await count(ns, 'pods', 0)).toEqual([]);
    });

    test('should support cascading deletion of custom resources', async () => {
      const ns = await namespace();
      const custom = await define({});
      const at = (name = ''): string => custom.path('v1', name, ns.name);
      const owner = await api.post(at(), custom.object('v1', 'owner'));
      const metadata = { name: 'dependent', ownerReferences: [ownerOf(owner)] };
      await api.post(at(), custom.object('v1', 'dependent', { metadata }));
      await api.del(at('owner'), options('Background'));
      expect(await gone(at('dependent'))).toBe(true);
    });

    test('should support orphan deletion of custom resources', async () => {
      const ns = await namespace();
      const custom = await define({});
      const at = (name = ''): string => custom.path('v1', name, ns.name);
      const owner = await api.post(at(), custom.object('v1', 'owner'));
      const metadata = { name: 'dependent', ownerReferences: [ownerOf(owner)] };
      await api.post(at(), custom.object('v1', 'dependent', { metadata }));
      await api.del(at('owner'), options('Orphan'));
      await gone(at('owner'));
      await settled(ns);
      expect((await api.get(at('dependent'))).metadata.ownerReferences).toBeUndefined();
    });

    test('should delete jobs and pods created by cronjob', async () => {
      const ns = await namespace();
      const template = { spec: { restartPolicy: 'OnFailure', containers: [{ name: 'c', image: 'example.test/tool:1' }] } };
      const cron = await api.post(ns.in('batch/v1 cronjobs'), {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        metadata: { name: 'simple' },
        spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: { template } } },
      });
      // Upstream waits for the next minute; a job that the cron job owns is all that there is to it.
      const job = {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: 'simple-1', ownerReferences: [ownerOf(cron, { controller: true })] },
        spec: { template },
      };
      await api.post(ns.in('batch/v1 jobs'), job);
      await count(ns, 'pods', 1);
      await api.del(ns.in('batch/v1 cronjobs', 'simple'), options('Background'));
      expect(await count(ns, 'batch/v1 jobs', 0)).toEqual([]);
      expect(await count(ns, 'pods', 0)).toEqual([]);
    });
  });
}
