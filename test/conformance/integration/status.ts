/**
 * What test/integration/apiserver/apply (reset_fields_test.go, status_test.go) checks: what a write of status may touch beside it,
 * and that nobody writes status with the object itself.
 */
import { describe, expect, test } from 'vitest';
import { type Cluster, pathOf } from '../cluster.ts';
import { stubs } from './kinds.ts';

/** Kinds whose writes of status leave metadata alone (ResetObjectMetaForStatus in their strategies). Of the others some leave a part alone. */
const keepsMetadata: ReadonlySet<string> = new Set([
  'admissionregistration.k8s.io/v1 validatingadmissionpolicies',
  'apiextensions.k8s.io/v1 customresourcedefinitions',
  'apiregistration.k8s.io/v1 apiservices',
  'flowcontrol.apiserver.k8s.io/v1 flowschemas',
  'flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations',
  'resource.k8s.io/v1 resourceclaims',
  'storage.k8s.io/v1 volumeattachments',
]);
const keepsLabels: ReadonlySet<string> = new Set(['apps/v1 deployments']);
const keepsOwners: ReadonlySet<string> = new Set(['v1 pods']);

const withStatus = `
v1 namespaces
v1 nodes
v1 persistentvolumeclaims
v1 persistentvolumes
v1 pods
v1 replicationcontrollers
v1 resourcequotas
v1 services
admissionregistration.k8s.io/v1 validatingadmissionpolicies
apiextensions.k8s.io/v1 customresourcedefinitions
apiregistration.k8s.io/v1 apiservices
apps/v1 daemonsets
apps/v1 deployments
apps/v1 replicasets
apps/v1 statefulsets
autoscaling/v1 horizontalpodautoscalers
autoscaling/v2 horizontalpodautoscalers
batch/v1 cronjobs
batch/v1 jobs
certificates.k8s.io/v1 certificatesigningrequests
flowcontrol.apiserver.k8s.io/v1 flowschemas
flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations
networking.k8s.io/v1 ingresses
networking.k8s.io/v1 servicecidrs
policy/v1 poddisruptionbudgets
resource.k8s.io/v1 resourceclaims
storage.k8s.io/v1 volumeattachments`
  .trim()
  .split('\n');

export function statusWrites({ api, namespace, define }: Cluster): void {
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'o', uid: '00000000-0000-4000-8000-000000000000' }];
  const metadata = { labels: { 'status-write': 'yes' }, annotations: { 'status-write': 'yes' }, ownerReferences };

  describe('a write of status', () => {
    test.each(withStatus)('of %s touches the metadata that upstream lets it touch, and no spec', async (key) => {
      const [apiVersion = '', plural = ''] = key.split(' ');
      const ns = await namespace();
      const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
      const { resources } = await api.get<{ resources: readonly { name: string; kind: string; namespaced: boolean }[] }>(root);
      const { kind, namespaced } = resources.find((r) => r.name === plural) ?? { kind: '', namespaced: false };
      expect(resources.map((r) => r.name)).toContain(`${plural}/status`);
      const name = stubs[key]?.name ?? `status-${plural}`;
      const collection = pathOf(apiVersion === 'v1' ? plural : key, namespaced ? ns.name : undefined);
      const path = `${collection}/${name}`;
      const made = await api.post(collection, { apiVersion, kind, metadata: { name }, ...stubs[key]?.body });
      const written = await api.patch(`${path}/status?dryRun=All`, { metadata, spec: null });
      const all = keepsMetadata.has(key);
      expect(written.metadata.annotations?.['status-write']).toBe(all ? undefined : 'yes');
      expect(written.metadata.labels?.['status-write']).toBe(all || keepsLabels.has(key) ? undefined : 'yes');
      expect(written.metadata.ownerReferences).toEqual(all || keepsOwners.has(key) ? undefined : ownerReferences);
      expect(written['spec']).toMatchObject(made['spec'] as object);
      const own = await api.patch(`${path}?dryRun=All`, { status: { 'no-such-field': 'x', phase: 'Invented', replicas: 99 } });
      expect(JSON.stringify(own['status'] ?? {})).not.toMatch(/Invented|"replicas":99/);
      await api.del(path, { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, propagationPolicy: 'Background' });
    });

    test('of a custom resource touches status only', async () => {
      const custom = await define({ versions: [{ name: 'v1', subresources: { status: {} } }] });
      const path = custom.path('v1', 'a');
      await api.post(custom.path('v1'), custom.object('v1', 'a', { spec: { x: 1 }, status: { from: 'create' } }));
      expect(await api.get(path)).not.toHaveProperty('status');
      const written = await api.patch(`${path}/status`, { metadata, spec: { x: 2 }, other: 'x', status: { from: 'status' } });
      expect(written).toMatchObject({ spec: { x: 1 }, status: { from: 'status' }, metadata: { generation: 1 } });
      expect(written).not.toHaveProperty('other');
      expect(written.metadata.labels).toBeUndefined();
      expect(written.metadata.annotations).toBeUndefined();
      expect(await api.patch(path, { spec: { x: 3 }, status: { from: 'main' } })).toMatchObject({
        spec: { x: 3 },
        status: { from: 'status' },
        metadata: { generation: 2 },
      });
    });

    test('by server-side apply owns what it may write and nothing else', async () => {
      const ns = await namespace();
      const path = ns.in('pods', 'owned');
      const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'owned' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
      await api.apply(path, object, 'main');
      const status = { conditions: [{ type: 'MyStatus', status: 'True' }] };
      const applied = { ...object, metadata: { name: 'owned', labels: { by: 'status' }, ownerReferences }, status };
      const { metadata: meta } = await api.apply(`${path}/status?force=true`, applied, 'writer');
      expect(meta.managedFields?.find((e) => e.manager === 'writer')?.fieldsV1).toEqual({
        'f:metadata': { 'f:labels': { 'f:by': {} } },
        'f:status': { 'f:conditions': { 'k:{"type":"MyStatus"}': { '.': {}, 'f:status': {}, 'f:type': {} } } },
      });
      expect(meta.labels).toEqual({ by: 'status' });
      expect(meta.ownerReferences).toBeUndefined();
    });
  });
}
