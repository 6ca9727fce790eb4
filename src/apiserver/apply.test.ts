import { describe, expect, test } from 'vitest';
import { createKubeClient } from '#client/kube-client.ts';
import type { ConfigMap } from '#kube/generated/core-v1.ts';
import { configMaps, deployments } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import { startTestServer } from './testing.ts';

const map = (data: Record<string, string>): ConfigMap => ({
  kind: 'ConfigMap',
  apiVersion: 'v1',
  metadata: { name: 'a', namespace: 'default' },
  data,
});
const at = { namespace: 'default', name: 'a' };

test('apply creates, updates, takes away what is no longer applied, and reports conflicts', async () => {
  const t = await startTestServer(builtinKinds);
  const client = createKubeClient(t.transport);
  const made = await client.apply(configMaps, map({ x: '1', y: '1' }), 'one');
  expect(made.metadata.managedFields).toMatchObject([{ manager: 'one', operation: 'Apply', fieldsV1: { 'f:data': { 'f:x': {} } } }]);
  const revision = t.cache.revision();
  await client.apply(configMaps, map({ x: '1', y: '1' }), 'one');
  expect(t.cache.revision()).toBe(revision);
  expect((await client.apply(configMaps, map({ x: '1' }), 'one')).data).toEqual({ x: '1' });
  await expect(client.apply(configMaps, map({ x: '2' }), 'two')).rejects.toMatchObject({ reason: 'Conflict' });
  expect((await client.apply(configMaps, map({ x: '2' }), 'two', { force: true })).data).toEqual({ x: '2' });
});

test('updates and patches are tracked by manager and subresource', async () => {
  const t = await startTestServer(builtinKinds);
  const client = createKubeClient(t.transport);
  const spec = {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  };
  await client.create(deployments, { kind: 'Deployment', apiVersion: 'apps/v1', metadata: { name: 'a', namespace: 'default' }, spec });
  const patched = await client.patch(deployments, at, 'merge', { status: { replicas: 1 } }, { subresource: 'status' });
  expect(patched.metadata.managedFields?.map((m) => [m.manager, m.operation, m.subresource])).toEqual([
    ['admin', 'Update', undefined],
    ['admin', 'Update', 'status'],
  ]);
});

test('apply needs a manager', async () => {
  const t = await startTestServer(builtinKinds);
  const response = await t.call('PATCH', '/api/v1/namespaces/default/configmaps/a', JSON.stringify(map({})), {
    'content-type': 'application/apply-patch+yaml',
  });
  expect(response).toMatchObject({
    status: 422,
    object: { message: 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch' },
  });
});

test('of many who apply an object that does not exist one creates it, and none is refused', async () => {
  const t = await startTestServer(builtinKinds);
  const client = createKubeClient(t.transport);
  const numbers = Array.from({ length: 20 }, (_, i) => `k${i}`);
  await Promise.all(numbers.map((n) => client.apply(configMaps, map({ [n]: n }), n)));
  const made = await client.get(configMaps, at);
  expect(made.data).toEqual(Object.fromEntries(numbers.map((n) => [n, n])));
  expect(made.metadata.managedFields).toHaveLength(numbers.length);
});

const deployment = {
  kind: 'Deployment',
  apiVersion: 'apps/v1',
  metadata: { name: 'a', namespace: 'default' },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  },
};
const path = '/apis/apps/v1/namespaces/default/deployments/a';
const scalePatch = (replicas: number) => ({ kind: 'Scale', apiVersion: 'autoscaling/v1', metadata: { name: 'a' }, spec: { replicas } });
const applyType = { 'content-type': 'application/apply-patch+yaml' };
const owners = (o: { metadata: { managedFields?: readonly { manager?: string; operation?: string; subresource?: string }[] } }) =>
  (o.metadata.managedFields ?? []).map((m) => [m.manager, m.operation, m.subresource ?? '']);

describe('who applies a Scale', () => {
  const start = async () => {
    const t = await startTestServer(builtinKinds);
    const client = createKubeClient(t.transport);
    await client.create(deployments, deployment);
    return { t, client };
  };

  test('owns the replicas by way of scale, and others meet a conflict', async () => {
    const { t, client } = await start();
    const refused = await t.call('PATCH', `${path}/scale?fieldManager=hpa`, scalePatch(3), applyType);
    expect(refused).toMatchObject({
      status: 409,
      object: { message: 'Apply failed with 1 conflict: conflict with "admin" using apps/v1: .spec.replicas' },
    });
    expect(await t.call('PATCH', `${path}/scale?fieldManager=hpa&force=true`, scalePatch(3), applyType)).toMatchObject({ status: 200 });
    const scaled = await client.get(deployments, at);
    expect(scaled).toMatchObject({ spec: { replicas: 3 }, metadata: { generation: 2 } });
    expect(owners(scaled)).toEqual([
      ['hpa', 'Apply', 'scale'],
      ['admin', 'Update', ''],
    ]);
    expect(scaled.metadata.managedFields?.[0]).toMatchObject({ apiVersion: 'apps/v1', fieldsV1: { 'f:spec': { 'f:replicas': {} } } });
    await expect(client.apply(deployments, { ...deployment, spec: { ...deployment.spec, replicas: 1 } }, 'git')).rejects.toThrow(
      'conflict with "hpa" with subresource "scale"',
    );
  });

  test('gives a manager; who does not apply may not force', async () => {
    const { t } = await start();
    expect(await t.call('PATCH', `${path}/scale`, scalePatch(3), applyType)).toMatchObject({ status: 422 });
    const merge = { 'content-type': 'application/merge-patch+json' };
    expect(await t.call('PATCH', `${path}/scale?force=true`, { spec: { replicas: 2 } }, merge)).toMatchObject({
      status: 422,
      object: { message: 'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch' },
    });
  });
});

test('status may be applied; it is owned by way of status and holds nothing else', async () => {
  const t = await startTestServer(builtinKinds);
  const client = createKubeClient(t.transport);
  await client.create(deployments, deployment);
  const status = { ...deployment, spec: { ...deployment.spec, replicas: 7 }, status: { replicas: 2 } };
  const applied = await client.apply(deployments, status, 'ctl', { subresource: 'status' });
  expect(applied).toMatchObject({ spec: { replicas: 1 }, status: { replicas: 2 }, metadata: { generation: 1 } });
  expect(applied.metadata.managedFields?.[0]).toMatchObject({
    manager: 'ctl',
    subresource: 'status',
    fieldsV1: { 'f:status': { 'f:replicas': {} } },
  });
});

test('owner references that are there twice are dropped with a warning', async () => {
  const t = await startTestServer(builtinKinds);
  const owner = { apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'u' };
  const made = await t.call('POST', '/api/v1/namespaces/default/configmaps', {
    metadata: { name: 'a', ownerReferences: [owner, { ...owner, uid: 'other' }, owner] },
  });
  expect(made.warnings).toEqual([
    '.metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: u',
  ]);
  const client = createKubeClient(t.transport);
  expect((await client.get(configMaps, at)).metadata.ownerReferences).toHaveLength(2);
});
