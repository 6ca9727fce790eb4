/** test/e2e/apimachinery/apply.go */
import { describe, expect, test } from 'vitest';
import type { Obj } from '../client.ts';
import type { Cluster } from '../cluster.ts';
import { deployment, noxuSpec, pod, podTemplate } from './objects.ts';

const apply = 'application/apply-patch+yaml';

export function serverSideApply({ api, namespace, define }: Cluster): void {
  describe('ServerSideApply', () => {
    test('should create an applied object if it does not already exist', async () => {
      const ns = await namespace();
      const service = {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'test-svc' },
        spec: { ports: [{ port: 8080, protocol: 'UDP' }] },
      };
      const testPod = pod('test-pod', { containers: [{ name: 'test-container', image: 'test-image' }] });
      for (const [path, object, fields] of [
        [ns.in('pods', 'test-pod'), testPod, '{"f:containers":{"k:{\\"name\\":\\"test-container\\"}":{".":{},"f:image":{},"f:name":{}}}}'],
        [
          ns.in('services', 'test-svc'),
          service,
          '{"f:ports":{"k:{\\"port\\":8080,\\"protocol\\":\\"UDP\\"}":{".":{},"f:port":{},"f:protocol":{}}}}',
        ],
      ] as const) {
        expect(await api.call('PATCH', `${path}?fieldManager=apply_test`, { body: object, type: apply })).toMatchObject({ code: 201 });
        await api.get(path);
        const again = await api.apply(path, object, 'apply_test_2');
        const owned = again.metadata.managedFields?.filter((e) => e.manager.startsWith('apply_test'));
        expect(owned?.map((e) => [e.manager, JSON.stringify(e.fieldsV1)])).toEqual([
          ['apply_test', `{"f:spec":${fields}}`],
          ['apply_test_2', `{"f:spec":${fields}}`],
        ]);
      }
    });

    test('should work for subresources', async () => {
      const ns = await namespace();
      const path = ns.in('pods', 'test-pod');
      await api.apply(path, pod('test-pod'), 'apply_test');
      const status = { conditions: [{ type: 'MyStatus', status: 'True' }] };
      const applied = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'test-pod' }, status };
      await api.apply(path, applied, 'apply_test2');
      expect(JSON.stringify(await api.get(path))).not.toContain('"MyStatus"');
      await api.apply(`${path}/status`, applied, 'apply_test2');
      expect(await api.get(path)).toMatchObject({
        status: { conditions: expect.arrayContaining([expect.objectContaining({ type: 'MyStatus' })]) as unknown },
      });
    });

    test('should remove a field if it is owned but removed in the apply request', async () => {
      const ns = await namespace();
      const path = ns.in('apps/v1 deployments', 'deployment');
      const ports = [{ containerPort: 80, protocol: 'TCP' }];
      const container = { name: 'nginx', image: 'example.test/nginx:1' };
      await api.apply(
        path,
        deployment('deployment', { replicas: 3, template: podTemplate({ app: 'nginx' }, { containers: [{ ...container, ports }] }) }),
        'apply_test',
      );
      await api.apply(path, deployment('deployment', { replicas: 3 }), 'apply_test');
      const { spec } = await api.get(path);
      expect(spec).toMatchObject({
        template: { spec: { containers: [expect.not.objectContaining({ ports: expect.anything() as unknown })] } },
      });
    });

    test('should not remove a field if an owner unsets the field but other managers still have ownership of the field', async () => {
      const ns = await namespace();
      const path = ns.in('apps/v1 deployments', 'deployment-shared-unset');
      const full = deployment('deployment-shared-unset', {
        replicas: 3,
        template: podTemplate({ app: 'nginx' }, { hostname: 'test-hostname' }),
      });
      for (const owner of ['shared_owner_1', 'shared_owner_2']) await api.apply(path, full, owner);
      const patched = await api.apply(path, deployment('deployment-shared-unset'), 'shared_owner_1');
      expect(patched).toMatchObject({ spec: { replicas: 3, template: { spec: { hostname: 'test-hostname' } } } });
    });

    test('should ignore conflict errors if force apply is used', async () => {
      const ns = await namespace();
      const path = ns.in('apps/v1 deployments', 'deployment');
      const object = deployment('deployment', { replicas: 3 });
      await api.apply(path, object, 'apply_test');
      await api.patch(path, { spec: { replicas: 5 } });
      expect(await api.call('PATCH', `${path}?fieldManager=apply_test`, { body: object, type: apply })).toMatchObject({
        code: 409,
        body: {
          kind: 'Status',
          reason: 'Conflict',
          message: expect.stringMatching(/^Apply failed with 1 conflict: conflict with ".*" using apps\/v1: \.spec\.replicas$/) as string,
          details: {
            causes: [
              { reason: 'FieldManagerConflict', message: expect.stringContaining('conflict with') as string, field: '.spec.replicas' },
            ],
          },
        },
      });
      expect(await api.apply(`${path}?force=true`, object, 'apply_test')).toMatchObject({ spec: { replicas: 3 } });
    });

    test('should work for CRDs', async () => {
      const schema = noxuSpec({ 'x-kubernetes-preserve-unknown-fields': true });
      const noxu = await define({ scope: 'Cluster', versions: ['v1beta1', 'v1'].map((name) => ({ name, schema })) });
      const path = noxu.path('v1beta1', 'mytest');
      const port = (name: string, containerPort: number) => ({ name, containerPort, protocol: 'TCP' });
      const spec = { cronSpec: '* * * * */5', replicas: 1, ports: [port('x', 80)] };
      const body = noxu.object('v1beta1', 'mytest', { metadata: { name: 'mytest', finalizers: ['test-finalizer'] }, spec });
      expect(await api.apply(path, body, 'apply_test')).toMatchObject({
        metadata: { finalizers: ['test-finalizer'] },
        spec: { replicas: 1, ports: [port('x', 80)] },
      });
      // Another version, without the finalizer: it keeps its owner in the version in which it was applied.
      const other = await api.apply(noxu.path('v1', 'mytest'), noxu.object('v1', 'mytest', { spec }), 'apply_test');
      expect(other).toMatchObject({ spec: { replicas: 1, ports: [port('x', 80)] } });
      const two = await api.patch(path, { metadata: { finalizers: ['test-finalizer', 'another-one'] } });
      expect(two.metadata.finalizers?.toSorted()).toEqual(['another-one', 'test-finalizer']);
      // finalizers are a set: applying one of two is no conflict.
      const reapplied = await api.apply(path, body, 'apply_test');
      expect(reapplied.metadata.finalizers?.toSorted()).toEqual(['another-one', 'test-finalizer']);
      expect(await api.patch(path, { spec: { replicas: 5 } })).toMatchObject({ spec: { replicas: 5 } });
      const conflict = (field: string) => ({ code: 409, body: { reason: 'Conflict', details: { causes: [{ field }] } } });
      expect(await api.call('PATCH', `${path}?fieldManager=apply_test`, { body, type: apply })).toMatchObject(conflict('.spec.replicas'));
      expect(await api.apply(`${path}?force=true`, body, 'apply_test')).toMatchObject({ spec: { replicas: 1 } });
      const portOf = (name: string, number: number) => noxu.object('v1beta1', 'mytest', { spec: { ports: [port(name, number)] } });
      expect(await api.call('PATCH', `${path}?fieldManager=apply_test_2`, { body: portOf('y', 80), type: apply })).toMatchObject(
        conflict('.spec.ports[containerPort=80,protocol="TCP"].name'),
      );
      expect(await api.apply(path, portOf('y', 8080), 'apply_test_2')).toMatchObject({ spec: { ports: [port('x', 80), port('y', 8080)] } });
      const none = { ...body, metadata: { name: 'should-not-exist' } };
      expect(await api.call('PUT', noxu.path('v1beta1', 'should-not-exist'), { body: none })).toMatchObject({ code: 404 });

      const atomicList = { type: 'array', 'x-kubernetes-list-type': 'atomic', items: { type: 'string' } };
      const atomic = await define({ scope: 'Cluster', versions: [{ name: 'v1', schema: noxuSpec({}, { atomicList }) }] });
      const of = (item: string) => atomic.object('v1', 'mytest', { spec: { atomicList: [item] } });
      const at = atomic.path('v1', 'mytest');
      expect(await api.apply(at, of('item1'), 'apply_test')).toMatchObject({ spec: { atomicList: ['item1'] } });
      expect((await api.apply(`${at}?force=true`, of('item2'), 'apply_test_2'))['spec']).toEqual({ atomicList: ['item2'] });
    });

    test('should give up ownership of a field if forced applied by a controller', async () => {
      const ns = await namespace();
      const path = ns.in('apps/v1 deployments', 'deployment-shared-map-item-removal');
      await api.apply(path, deployment('deployment-shared-map-item-removal', { replicas: 3 }), 'test_applier');
      const read = (await api.get(path)) as Obj & { spec: object };
      await api.put(path, { ...read, metadata: { ...read.metadata, resourceVersion: undefined }, spec: { ...read.spec, replicas: 4 } });
      const patched = await api.apply(path, deployment('deployment-shared-map-item-removal'), 'test_applier');
      expect(patched).toMatchObject({ spec: { replicas: 4 } });
    });
  });
}
