import { describe, expect, test } from 'vitest';
import type { PodSpec } from '#kube/generated/core-v1.ts';
import { configMaps, ingresses, persistentVolumeClaims, pods, resourceQuotas, services } from '#kube/refs.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { builtinKinds } from '#resources/index.ts';
import { testObjects } from '../test-objects.ts';
import { createLimitRanger } from './limit-ranger.ts';
import { createResourceQuota } from './resource-quota.ts';
import { createRuntimeClass } from './runtime-class.ts';
import {
  createDefaultIngressClass,
  createDefaultStorageClass,
  createPersistentVolumeClaimResize,
  storageObjectInUseProtection,
} from './storage-defaults.ts';
import { ask } from './testing.ts';

const pod = (resources: object = {}, more: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default' },
  spec: { containers: [{ name: 'c', image: 'i', resources }], ...more },
});
const specOf = (draft: object): PodSpec => (draft as { spec: PodSpec }).spec;
const claim = (storage: string, more: object = {}): object => ({
  metadata: { name: 'd', namespace: 'default' },
  spec: { resources: { requests: { storage } }, ...more },
});

describe('LimitRanger', () => {
  const withLimits = async (...limits: object[]) => {
    const objects = await testObjects(builtinKinds);
    await objects.put({ apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'l', namespace: 'default' }, spec: { limits } });
    return [createLimitRanger(objects)];
  };

  test('containers get the defaults that they do not set, and an annotation says so', async () => {
    const plugins = await withLimits({ type: 'Container', default: { cpu: '1', memory: '1Gi' }, defaultRequest: { cpu: '100m' } });
    const draft = await ask(plugins, pods, { object: pod({ limits: { memory: '2Gi' } }) });
    expect(specOf(draft).containers[0]?.resources).toEqual({ limits: { cpu: '1', memory: '2Gi' }, requests: { cpu: '100m' } });
    expect(draft.metadata.annotations).toEqual({
      'kubernetes.io/limit-ranger': 'LimitRanger plugin set: cpu request for container c; cpu limit for container c',
    });
  });

  test.each<[string, object, object, string]>([
    ['too little', { min: { cpu: '100m' } }, { requests: { cpu: '50m' } }, 'minimum cpu usage per Container is 100m, but request is 50m'],
    ['nothing where a minimum is', { min: { cpu: '100m' } }, {}, 'minimum cpu usage per Container is 100m.  No request is specified'],
    ['too much', { max: { memory: '1Gi' } }, { limits: { memory: '2Gi' } }, 'maximum memory usage per Container is 1Gi, but limit is 2Gi'],
    ['nothing where a maximum is', { max: { cpu: '1' } }, {}, 'maximum cpu usage per Container is 1.  No limit is specified'],
    [
      'too wide a gap',
      { maxLimitRequestRatio: { cpu: '2' } },
      { requests: { cpu: '100m' }, limits: { cpu: '1' } },
      'cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000',
    ],
  ])('%s is refused', async (_what, limit, resources, message) => {
    await expect(ask(await withLimits({ type: 'Container', ...limit }), pods, { object: pod(resources) })).rejects.toMatchObject({
      code: 403,
      message: `pods "p" is forbidden: ${message}`,
    });
  });

  test('a pod is the sum of its containers, an init container as large as it is', async () => {
    const limits = { cpu: '600m' };
    const two = pod({ limits }, { containers: ['a', 'b'].map((name) => ({ name, resources: { limits } })) });
    await expect(ask(await withLimits({ type: 'Pod', max: { cpu: '1' } }), pods, { object: two })).rejects.toThrow(
      'maximum cpu usage per Pod is 1, but limit is 1200m',
    );
    const init = pod({ limits }, { initContainers: [{ name: 'i', resources: { limits } }] });
    await expect(ask(await withLimits({ type: 'Pod', max: { cpu: '1' } }), pods, { object: init })).resolves.toBeDefined();
  });

  test('claims are held to their sizes', async () => {
    const plugins = await withLimits({ type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '10Gi' } });
    await expect(ask(plugins, persistentVolumeClaims, { object: claim('5Gi') })).resolves.toBeDefined();
    await expect(ask(plugins, persistentVolumeClaims, { object: claim('20Gi') })).rejects.toThrow(
      'maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 20Gi',
    );
  });
});

describe('ResourceQuota', () => {
  const withQuota = async (hard: Record<string, string>, spec: object = {}) => {
    const objects = await testObjects(builtinKinds);
    const used = Object.fromEntries(Object.keys(hard).map((k) => [k, '0']));
    await objects.put({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'q', namespace: 'default' },
      spec: { hard, ...spec },
      status: { hard, used },
    });
    const usedNow = (): unknown => objects.list(resourceQuotas, 'default')[0]?.status?.used;
    return { plugins: [createResourceQuota({ objects, clock: fakeClock() })], usedNow };
  };

  test('of 200 pods at once, a quota of 10 admits exactly 10', async () => {
    const { plugins, usedNow } = await withQuota({ pods: '10' });
    const results = await Promise.allSettled(Array.from({ length: 200 }, () => ask(plugins, pods, { object: pod() })));
    expect(results.filter((r) => r.status === 'fulfilled')).toHaveLength(10);
    expect(usedNow()).toEqual({ pods: '10' });
    const refused = results.find((r) => r.status === 'rejected');
    expect(refused?.reason).toMatchObject({
      code: 403,
      message: 'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=10, limited: pods=10',
    });
  });

  test('compute resources are counted, and must be asked for where they are limited', async () => {
    const { plugins, usedNow } = await withQuota({ 'requests.cpu': '1', 'limits.memory': '1Gi' });
    await expect(ask(plugins, pods, { object: pod() })).rejects.toThrow(
      'pods "p" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c',
    );
    await ask(plugins, pods, { object: pod({ requests: { cpu: '600m' }, limits: { memory: '512Mi' } }) });
    expect(usedNow()).toEqual({ 'requests.cpu': '600m', 'limits.memory': '512Mi' });
    await expect(ask(plugins, pods, { object: pod({ requests: { cpu: '600m' }, limits: { memory: '1Mi' } }) })).rejects.toThrow(
      'exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1',
    );
  });

  test('objects of any kind are counted, node ports too', async () => {
    const { plugins, usedNow } = await withQuota({ 'count/configmaps': '1', 'services.nodeports': '1' });
    await ask(plugins, configMaps, { object: { metadata: { name: 'a' } } });
    await expect(ask(plugins, configMaps, { object: { metadata: { name: 'b' } } })).rejects.toThrow(
      'exceeded quota: q, requested: count/configmaps=1',
    );
    const service = (type: string, count: number): object => ({
      metadata: { name: 's' },
      spec: { type, ports: Array.from({ length: count }, () => ({ port: 1 })) },
    });
    await ask(plugins, services, { object: service('ClusterIP', 5) });
    await expect(
      ask(plugins, services, { operation: 'UPDATE', object: service('NodePort', 2), oldObject: service('ClusterIP', 2) }),
    ).rejects.toThrow('requested: services.nodeports=2');
    expect(usedNow()).toEqual({ 'count/configmaps': '1', 'services.nodeports': '0' });
  });

  test('claims are charged for what they grow by', async () => {
    const { plugins, usedNow } = await withQuota({ 'requests.storage': '10Gi' });
    await ask(plugins, persistentVolumeClaims, { object: claim('4Gi') });
    await ask(plugins, persistentVolumeClaims, { operation: 'UPDATE', object: claim('6Gi'), oldObject: claim('4Gi') });
    expect(usedNow()).toEqual({ 'requests.storage': '6Gi' });
  });

  test('a dry run is decided but not charged', async () => {
    const { plugins, usedNow } = await withQuota({ pods: '1' });
    await ask(plugins, pods, { object: pod(), dryRun: true });
    expect(usedNow()).toEqual({ pods: '0' });
  });

  test('scopes choose the pods that a quota is about', async () => {
    const { plugins, usedNow } = await withQuota({ pods: '1' }, { scopes: ['BestEffort'] });
    await ask(plugins, pods, { object: pod({ requests: { cpu: '1' } }) });
    expect(usedNow()).toEqual({ pods: '0' });
    await ask(plugins, pods, { object: pod() });
    await expect(ask(plugins, pods, { object: pod() })).rejects.toThrow('exceeded quota');
    const selector = { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }] };
    const high = await withQuota({ pods: '0' }, { scopeSelector: selector });
    await ask(high.plugins, pods, { object: pod() });
    await expect(ask(high.plugins, pods, { object: pod({}, { priorityClassName: 'high' }) })).rejects.toThrow('exceeded quota');
  });
});

describe('ResourceQuota of what changes', () => {
  const quota = async (
    hard: Record<string, string>,
    spec: object = {},
    status: object = { hard, used: Object.fromEntries(Object.keys(hard).map((k) => [k, '0'])) },
  ) => {
    const objects = await testObjects(builtinKinds);
    await objects.put({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'q', namespace: 'default' },
      spec: { hard, ...spec },
      status,
    });
    const used = (): unknown => objects.get(resourceQuotas, 'default', 'q')?.status?.used;
    return { plugins: [createResourceQuota({ objects, clock: fakeClock() })], used };
  };
  const attributes = (operator: string, ...values: string[]) => ({
    scopeSelector: { matchExpressions: [{ scopeName: 'VolumeAttributesClass', operator, values }] },
  });

  test('a resize of a pod is charged for what it adds', async () => {
    const { plugins, used } = await quota({ 'requests.cpu': '1' });
    const resize = (cpu: string) =>
      ask(plugins, pods, {
        operation: 'UPDATE',
        subresource: 'resize',
        object: pod({ requests: { cpu } }),
        oldObject: pod({ requests: { cpu: '300m' } }),
      });
    await resize('800m');
    expect(used()).toEqual({ 'requests.cpu': '500m' });
    await expect(resize('900m')).rejects.toThrow(
      'exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=500m, limited: requests.cpu=1',
    );
  });

  test('a claim counts by its volume attributes class, whole when it comes under a quota anew', async () => {
    const { plugins, used } = await quota({ persistentvolumeclaims: '1' }, attributes('In', 'gold'));
    const change = (from: string, to: string) =>
      ask(plugins, persistentVolumeClaims, {
        operation: 'UPDATE',
        object: claim('1Gi', { volumeAttributesClassName: to }),
        oldObject: claim('1Gi', { volumeAttributesClassName: from }),
      });
    await ask(plugins, persistentVolumeClaims, { object: claim('1Gi') });
    await change('gold', 'gold');
    expect(used()).toEqual({ persistentvolumeclaims: '0' });
    await change('silver', 'gold');
    expect(used()).toEqual({ persistentvolumeclaims: '1' });
    await expect(change('silver', 'gold')).rejects.toThrow('exceeded quota');
  });

  test('what a controller writes into a status is charged but not refused', async () => {
    const { plugins, used } = await quota({ 'requests.storage': '512Mi' });
    const status = { allocatedResources: { storage: '3Gi' } };
    await ask(plugins, persistentVolumeClaims, {
      operation: 'UPDATE',
      subresource: 'status',
      object: { ...claim('2Gi'), status },
      oldObject: claim('2Gi'),
    });
    expect(used()).toEqual({ 'requests.storage': '1Gi' });
  });

  test('a quota that has not been counted yet limits nothing, and events are not counted', async () => {
    const fresh = await quota({ pods: '0' }, {}, {});
    await expect(ask(fresh.plugins, pods, { object: pod() })).resolves.toBeDefined();
    const events = { ...pods, plural: 'events', kind: 'Event' } as never;
    await expect(
      ask((await quota({ 'count/events': '0' })).plugins, events, { object: { metadata: { name: 'e' } } }),
    ).resolves.toBeDefined();
  });

  test('any resource may be counted, custom ones too', async () => {
    const { plugins } = await quota({ 'count/widgets.example.com': '1' });
    const widgets = { ...pods, group: 'example.com', plural: 'widgets', kind: 'Widget' } as never;
    await ask(plugins, widgets, { object: { metadata: { name: 'a' } } });
    await expect(ask(plugins, widgets, { object: { metadata: { name: 'b' } } })).rejects.toThrow(
      'widgets.example.com "b" is forbidden: exceeded quota: q, requested: count/widgets.example.com=1, used: count/widgets.example.com=1, limited: count/widgets.example.com=1',
    );
  });
});

test('LimitRanger looks at a resize as at a new pod', async () => {
  const objects = await testObjects(builtinKinds);
  const limits = [{ type: 'Container', max: { cpu: '1' } }];
  await objects.put({ apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'l', namespace: 'default' }, spec: { limits } });
  const resize = { operation: 'UPDATE', subresource: 'resize', oldObject: pod(), object: pod({ limits: { cpu: '2' } }) } as const;
  await expect(ask([createLimitRanger(objects)], pods, resize)).rejects.toThrow('maximum cpu usage per Container is 1, but limit is 2');
});

describe('storage and ingress defaults', () => {
  const classOf = (kind: string, name: string, creationTimestamp: string, annotation: string) => ({
    apiVersion: kind === 'StorageClass' ? 'storage.k8s.io/v1' : 'networking.k8s.io/v1',
    kind,
    metadata: { name, creationTimestamp, annotations: { [annotation]: 'true' } },
  });

  test('a claim without a class gets the newest default one', async () => {
    const objects = await testObjects(builtinKinds);
    const annotation = 'storageclass.kubernetes.io/is-default-class';
    await objects.put(classOf('StorageClass', 'old', '2020-01-01T00:00:00Z', annotation));
    await objects.put(classOf('StorageClass', 'new', '2021-01-01T00:00:00Z', annotation));
    const plugins = [createDefaultStorageClass(objects)];
    expect(await ask(plugins, persistentVolumeClaims, { object: claim('1Gi') })).toMatchObject({ spec: { storageClassName: 'new' } });
    const none = await ask(plugins, persistentVolumeClaims, { object: claim('1Gi', { storageClassName: '' }) });
    expect(none).toMatchObject({ spec: { storageClassName: '' } });
  });

  test('an ingress without a class gets the default one', async () => {
    const objects = await testObjects(builtinKinds);
    await objects.put(classOf('IngressClass', 'nginx', '2020-01-01T00:00:00Z', 'ingressclass.kubernetes.io/is-default-class'));
    const plugins = [createDefaultIngressClass(objects)];
    expect(await ask(plugins, ingresses, { object: { metadata: { name: 'i' }, spec: {} } })).toMatchObject({
      spec: { ingressClassName: 'nginx' },
    });
  });

  test('claims are protected while they are in use', async () => {
    const draft = await ask([storageObjectInUseProtection], persistentVolumeClaims, { object: claim('1Gi') });
    expect(draft.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection']);
  });

  test('only bound claims of a class that allows it grow', async () => {
    const objects = await testObjects(builtinKinds);
    await objects.put({ apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: 'grow' }, allowVolumeExpansion: true });
    const plugins = [createPersistentVolumeClaimResize(objects)];
    const grow = (storageClassName: string, phase: string) =>
      ask(plugins, persistentVolumeClaims, {
        operation: 'UPDATE',
        object: claim('2Gi', { storageClassName }),
        oldObject: { ...claim('1Gi', { storageClassName }), status: { phase } },
      });
    await expect(grow('grow', 'Bound')).resolves.toBeDefined();
    await expect(grow('grow', 'Pending')).rejects.toThrow('Only bound persistent volume claims can be expanded');
    await expect(grow('other', 'Bound')).rejects.toThrow('only dynamically provisioned pvc can be resized');
  });
});

describe('RuntimeClass', async () => {
  const objects = await testObjects(builtinKinds);
  await objects.put({
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    metadata: { name: 'vm' },
    overhead: { podFixed: { cpu: '100m' } },
    scheduling: { nodeSelector: { vm: 'yes' }, tolerations: [{ key: 'vm' }] },
  });
  const plugins = [createRuntimeClass(objects)];

  test('gives its overhead and its scheduling', async () => {
    const spec = specOf(await ask(plugins, pods, { object: pod({}, { runtimeClassName: 'vm', nodeSelector: { a: 'b' } }) }));
    expect(spec).toMatchObject({ overhead: { cpu: '100m' }, nodeSelector: { vm: 'yes', a: 'b' }, tolerations: [{ key: 'vm' }] });
  });

  test.each<[object, string]>([
    [{ runtimeClassName: 'none' }, 'pod rejected: RuntimeClass "none" not found'],
    [
      { runtimeClassName: 'vm', nodeSelector: { vm: 'no' } },
      'conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no',
    ],
    [{ runtimeClassName: 'vm', overhead: { cpu: '1' } }, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"],
    [{ overhead: { cpu: '1' } }, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead'],
  ])('%j is refused', async (more, message) => {
    await expect(ask(plugins, pods, { object: pod({}, more) })).rejects.toThrow(message);
  });
});
