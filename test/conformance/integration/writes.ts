/** What pkg/registry/generic/registry's tests check of writes: names that are made, creation by update, preconditions. */
import { describe, expect, test } from 'vitest';
import { type Cluster, pathOf } from '../cluster.ts';
import { stubs } from './kinds.ts';

/** The kinds whose strategies have AllowCreateOnUpdate. */
const createdByPut: ReadonlySet<string> = new Set([
  'v1 endpoints',
  'v1 events',
  'v1 limitranges',
  'v1 services',
  'certificates.k8s.io/v1 certificatesigningrequests',
  'coordination.k8s.io/v1 leases',
  'events.k8s.io/v1 events',
  'rbac.authorization.k8s.io/v1 clusterrolebindings',
  'rbac.authorization.k8s.io/v1 clusterroles',
  'rbac.authorization.k8s.io/v1 rolebindings',
  'rbac.authorization.k8s.io/v1 roles',
]);

export function writes({ api, namespace }: Cluster): void {
  describe('PUT of what does not exist', () => {
    test.each(Object.keys(stubs))('of %s creates it only where the kind allows that', async (key) => {
      const [groupVersion = '', plural = ''] = key.split(' ');
      const ns = await namespace();
      const root = groupVersion === 'v1' ? '/api/v1' : `/apis/${groupVersion}`;
      const { resources } = await api.get<{ resources: readonly { name: string; kind: string; namespaced: boolean }[] }>(root);
      const { kind, namespaced } = resources.find((r) => r.name === plural) ?? { kind: '', namespaced: false };
      const name = stubs[key]?.name ?? `put-${plural}`;
      const path = `${pathOf(groupVersion === 'v1' ? plural : key, namespaced ? ns.name : undefined)}/${name}`;
      const body = JSON.parse(JSON.stringify(stubs[key]?.body).replaceAll('NAMESPACE', ns.name)) as object;
      const object = { apiVersion: groupVersion, kind, metadata: { name }, ...body };
      const answer = await api.call('PUT', path, { body: object });
      if (!createdByPut.has(key)) {
        expect(answer).toMatchObject({ code: 404, body: { kind: 'Status', reason: 'NotFound' } });
        return;
      }
      expect(answer).toMatchObject({ code: 201, body: { kind, metadata: { name } } });
      // With a version or a uid it is the update of something that is gone.
      await api.del(path);
      expect((await api.call('PUT', path, { body: { ...object, metadata: { name, resourceVersion: '5' } } })).code).toBe(404);
      const uid = '00000000-0000-4000-8000-000000000000';
      expect(await api.call('PUT', path, { body: { ...object, metadata: { name, uid } } })).toMatchObject({
        code: 409,
        body: {
          reason: 'Conflict',
          message: expect.stringContaining(`Precondition failed: UID in precondition: ${uid}, UID in object meta: `) as string,
        },
      });
    });
  });

  test('a name is made from generateName, which is cut where both were too long', async () => {
    const ns = await namespace();
    const create = (generateName: string) =>
      api.post(ns.in('configmaps'), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName } });
    expect((await create('a.b-')).metadata.name).toMatch(/^a\.b-[bcdfghjklmnpqrstvwxz2-9]{5}$/);
    expect((await create('x'.repeat(100))).metadata.name).toMatch(/^x{58}[bcdfghjklmnpqrstvwxz2-9]{5}$/);
    const names = await Promise.all(Array.from({ length: 50 }, async () => (await create('many-')).metadata.name));
    expect(new Set(names).size).toBe(50);
  });

  describe('preconditions of a deletion', () => {
    const options = (preconditions: object) => ({ apiVersion: 'v1', kind: 'DeleteOptions', preconditions });
    test.each([
      ['uid', 'UID', '11111111-1111-4111-8111-111111111111'],
      ['resourceVersion', 'ResourceVersion', '1'],
    ])('%s must be what the object has', async (field, word, wrong) => {
      const ns = await namespace();
      const created = await api.post(ns.in('configmaps'), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kept' } });
      const right = created.metadata[field as 'uid' | 'resourceVersion'];
      const path = ns.in('configmaps', 'kept');
      expect(await api.call('DELETE', path, { body: options({ [field]: wrong }) })).toMatchObject({
        code: 409,
        body: {
          reason: 'Conflict',
          message: expect.stringContaining(
            `Precondition failed: ${word} in precondition: ${wrong}, ${word} in object meta: ${right}`,
          ) as string,
        },
      });
      expect((await api.get(path)).metadata.uid).toBe(created.metadata.uid);
      expect(await api.del(path, options({ [field]: right }))).toMatchObject({
        kind: 'Status',
        status: 'Success',
        details: { uid: created.metadata.uid },
      });
    });
  });
}
