/** test/e2e/apimachinery/resource_quota.go */
import { describe, expect, test } from 'vitest';
import type { List, Obj } from '../client.ts';
import type { Cluster, Namespace } from '../cluster.ts';
import { configMap, pod, podTemplate } from './objects.ts';

type Amounts = Readonly<Record<string, string>>;
interface Quota extends Obj {
  readonly spec: { readonly hard: Amounts };
  readonly status: { readonly hard?: Amounts; readonly used?: Amounts };
}

/** What upstream's tests allow. */
const generous: Amounts = {
  pods: '5',
  services: '10',
  'services.nodeports': '1',
  'services.loadbalancers': '1',
  replicationcontrollers: '10',
  resourcequotas: '1',
  configmaps: '10',
  secrets: '10',
  persistentvolumeclaims: '10',
  'requests.storage': '10Gi',
  'requests.ephemeral-storage': '50Gi',
  cpu: '1',
  memory: '500Mi',
  'requests.example.com/dongle': '3',
  'count/replicasets.apps': '5',
  'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '10',
  'gold.storageclass.storage.k8s.io/requests.storage': '10Gi',
};

export function resourceQuota({ api, namespace, define }: Cluster): void {
  const quota = (name: string, hard: Amounts, more: Readonly<Record<string, unknown>> = {}, labels: Amounts = {}) => ({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name, labels },
    spec: { hard, ...more },
  });
  /** Waits until a quota shows what is used; what is not named is not looked at. */
  const uses = async (ns: Namespace, name: string, used: Amounts): Promise<void> => {
    await expect.poll(async () => (await api.get<Quota>(ns.in('resourcequotas', name))).status.used).toMatchObject(used);
  };
  const withQuota = async (hard: Amounts = generous, more: Readonly<Record<string, unknown>> = {}): Promise<Namespace> => {
    const ns = await namespace();
    await api.post(ns.in('resourcequotas'), quota('test-quota', hard, more));
    await expect.poll(async () => (await api.get<Quota>(ns.in('resourcequotas', 'test-quota'))).status.hard).toEqual(hard);
    return ns;
  };
  const requests = (amounts: Amounts, limits: Amounts = {}) => ({
    containers: [{ name: 'c', image: 'i', resources: { requests: amounts, limits } }],
  });
  const exceeded = (message: string | RegExp) => ({
    code: 403,
    body: { reason: 'Forbidden', message: expect.stringMatching(message) as string },
  });

  describe('ResourceQuota', () => {
    test('should create a ResourceQuota and ensure its status is promptly calculated.', async () => {
      const ns = await withQuota();
      await uses(ns, 'test-quota', { resourcequotas: '1', pods: '0', cpu: '0', memory: '0' });
      expect(Object.keys((await api.get<Quota>(ns.in('resourcequotas', 'test-quota'))).status.used ?? {}).toSorted()).toEqual(
        Object.keys(generous).toSorted(),
      );
    });

    test('should create a ResourceQuota and capture the life of a service.', async () => {
      const ns = await withQuota();
      const service = (name: string, type: string, more: object = {}) => ({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name },
        spec: { type, ports: [{ port: 80, targetPort: 80 }], ...more },
      });
      await api.post(ns.in('services'), service('test-service', 'ClusterIP'));
      await api.post(ns.in('services'), service('test-service-np', 'NodePort'));
      const lb = { allocateLoadBalancerNodePorts: false };
      expect(await api.call('POST', ns.in('services'), { body: service('test-service-lb', 'LoadBalancer') })).toMatchObject(
        exceeded('services.nodeports'),
      );
      await api.post(ns.in('services'), service('test-service-lb', 'LoadBalancer', lb));
      await uses(ns, 'test-quota', { services: '3', 'services.nodeports': '1', 'services.loadbalancers': '1' });
      for (const name of ['test-service', 'test-service-np', 'test-service-lb']) await api.del(ns.in('services', name));
      await uses(ns, 'test-quota', { services: '0', 'services.nodeports': '0', 'services.loadbalancers': '0' });
    });

    const lives: readonly [title: string, resource: string, object: object, used: Amounts, free: Amounts][] = [
      [
        'secret',
        'secrets',
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'one' }, data: { a: 'AA==' } },
        { secrets: '1' },
        { secrets: '0' },
      ],
      // Each namespace has a ConfigMap of its own from the beginning.
      ['configMap', 'configmaps', configMap('one', { data: { a: 'a' } }), { configmaps: '2' }, { configmaps: '1' }],
      [
        'replication controller',
        'replicationcontrollers',
        {
          apiVersion: 'v1',
          kind: 'ReplicationController',
          metadata: { name: 'one' },
          spec: { replicas: 0, selector: { a: 'b' }, template: podTemplate({ a: 'b' }) },
        },
        { replicationcontrollers: '1' },
        { replicationcontrollers: '0' },
      ],
      [
        'replica set',
        'apps/v1 replicasets',
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          metadata: { name: 'one' },
          spec: { replicas: 0, selector: { matchLabels: { a: 'b' } }, template: podTemplate({ a: 'b' }) },
        },
        { 'count/replicasets.apps': '1' },
        { 'count/replicasets.apps': '0' },
      ],
    ];
    for (const [title, resource, object, used, free] of lives)
      test(`should create a ResourceQuota and capture the life of a ${title}.`, async () => {
        const ns = await withQuota();
        await uses(ns, 'test-quota', free);
        await api.post(ns.in(resource), object);
        await uses(ns, 'test-quota', used);
        await api.del(ns.in(resource, 'one'));
        await uses(ns, 'test-quota', free);
        expect((await api.call('GET', ns.in(resource, 'one'))).code).toBe(404);
      });

    test('should create a ResourceQuota and capture the life of a pod.', async () => {
      const ns = await withQuota();
      const dongle = { 'example.com/dongle': '2' };
      const first = pod('test-pod', requests({ cpu: '500m', memory: '252Mi', 'ephemeral-storage': '30Gi', ...dongle }, dongle));
      await api.post(ns.in('pods'), first);
      await uses(ns, 'test-quota', {
        pods: '1',
        cpu: '500m',
        memory: '252Mi',
        'requests.ephemeral-storage': '30Gi',
        'requests.example.com/dongle': '2',
      });
      expect(await api.call('POST', ns.in('pods'), { body: pod('fail-pod', requests({ cpu: '600m', memory: '100Mi' })) })).toMatchObject(
        exceeded(/exceeded quota: test-quota, requested: cpu=600m.*, used: cpu=500m.*, limited: cpu=1/),
      );
      const more = pod(
        'fail-pod-for-extended-resource',
        requests({ cpu: '500m', memory: '100Mi', 'ephemeral-storage': '1Gi', ...dongle }, dongle),
      );
      expect(await api.call('POST', ns.in('pods'), { body: more })).toMatchObject(exceeded('requests.example.com/dongle=2'));
      const change = [{ op: 'replace', path: '/spec/containers/0/resources/requests/cpu', value: '100m' }];
      expect((await api.call('PATCH', ns.in('pods', 'test-pod'), { body: change, type: 'application/json-patch+json' })).code).toBe(422);
      await uses(ns, 'test-quota', { pods: '1', cpu: '500m' });
      await api.del(ns.in('pods', 'test-pod'), { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 });
      await uses(ns, 'test-quota', { pods: '0', cpu: '0', memory: '0', 'requests.example.com/dongle': '0' });
    });

    for (const [title, storageClassName, used] of [
      ['persistent volume claim', undefined, { persistentvolumeclaims: '1', 'requests.storage': '1Gi' }],
      [
        'persistent volume claim with a storage class',
        'gold',
        {
          persistentvolumeclaims: '1',
          'requests.storage': '1Gi',
          'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
          'gold.storageclass.storage.k8s.io/requests.storage': '1Gi',
        },
      ],
    ] as const)
      test(`should create a ResourceQuota and capture the life of a ${title}`, async () => {
        const ns = await withQuota();
        const spec = {
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: '1Gi' } },
          ...(storageClassName === undefined ? {} : { storageClassName }),
        };
        await api.post(ns.in('persistentvolumeclaims'), {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name: 'claim' },
          spec,
        });
        await uses(ns, 'test-quota', used);
        await api.del(ns.in('persistentvolumeclaims', 'claim'));
        await uses(ns, 'test-quota', Object.fromEntries(Object.keys(used).map((key) => [key, '0'])));
        expect((await api.call('GET', ns.in('persistentvolumeclaims', 'claim'))).code).toBe(404);
      });

    test('should create a ResourceQuota and capture the life of a custom resource.', async () => {
      const custom = await define({});
      const name = `count/${custom.plural}.${custom.group}`;
      const ns = await withQuota({ [name]: '1' });
      const at = (of = ''): string => custom.path('v1', of, ns.name);
      await api.post(at(), custom.object('v1', 'one'));
      await uses(ns, 'test-quota', { [name]: '1' });
      expect(await api.call('POST', at(), { body: custom.object('v1', 'two') })).toMatchObject(exceeded('exceeded quota'));
      await api.del(at('one'));
      await uses(ns, 'test-quota', { [name]: '0' });
      expect((await api.call('POST', at(), { body: custom.object('v1', 'two') })).code).toBe(201);
    });

    /** Two quotas of which one applies to a pod: what is used of each. */
    const scoped = async (
      hard: Amounts,
      [one, other]: readonly [Readonly<Record<string, unknown>>, Readonly<Record<string, unknown>>],
      object: ReturnType<typeof pod>,
      mine: Amounts,
      idle: Amounts,
    ) => {
      const ns = await namespace();
      await api.post(ns.in('resourcequotas'), quota('one', hard, one));
      await api.post(ns.in('resourcequotas'), quota('other', hard, other));
      await uses(ns, 'one', idle);
      await uses(ns, 'other', idle);
      await api.post(ns.in('pods'), object);
      await uses(ns, 'one', mine);
      await uses(ns, 'other', idle);
      await api.del(ns.in('pods', object.metadata.name), { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 });
      await uses(ns, 'one', idle);
    };
    const scopes = (scope: string) => ({ scopes: [scope] });

    test('should verify ResourceQuota with best effort scope.', async () => {
      const [best, not] = [scopes('BestEffort'), scopes('NotBestEffort')];
      await scoped({ pods: '5' }, [best, not], pod('best-effort'), { pods: '1' }, { pods: '0' });
      await expect(
        scoped({ pods: '5' }, [not, best], pod('burstable', requests({ cpu: '500m', memory: '200Mi' })), { pods: '1' }, { pods: '0' }),
      ).resolves.toBeUndefined();
    });

    test('should verify ResourceQuota with terminating scopes.', async () => {
      const hard = { pods: '5', 'requests.cpu': '1', 'requests.memory': '500Mi', 'limits.cpu': '2', 'limits.memory': '1Gi' };
      const [ending, not] = [scopes('Terminating'), scopes('NotTerminating')];
      const spec = requests({ cpu: '500m', memory: '200Mi' }, { cpu: '1', memory: '400Mi' });
      const mine = { pods: '1', 'requests.cpu': '500m', 'requests.memory': '200Mi', 'limits.cpu': '1', 'limits.memory': '400Mi' };
      const idle = { pods: '0', 'requests.cpu': '0' };
      await scoped(hard, [not, ending], pod('test-pod', spec), mine, idle);
      await expect(
        scoped(hard, [ending, not], pod('terminating-pod', { ...spec, activeDeadlineSeconds: 3600 }), mine, idle),
      ).resolves.toBeUndefined();
    });

    test('should be able to update and delete ResourceQuota.', async () => {
      const ns = await namespace();
      const path = ns.in('resourcequotas', 'test-quota');
      await api.post(ns.in('resourcequotas'), quota('test-quota', { cpu: '1', memory: '500Mi' }));
      const read = await api.get<Quota>(path);
      expect(await api.put(path, { ...read, metadata: { name: 'test-quota' }, spec: { hard: { cpu: '2', memory: '1Gi' } } })).toMatchObject(
        {
          spec: { hard: { cpu: '2', memory: '1Gi' } },
        },
      );
      expect(await api.get(path)).toMatchObject({ spec: { hard: { cpu: '2', memory: '1Gi' } } });
      await api.del(path);
      expect((await api.call('GET', path)).code).toBe(404);
    });

    test('should manage the lifecycle of a ResourceQuota', async () => {
      const ns = await namespace();
      const labels = { [ns.name]: 'lifecycle' };
      await api.post(ns.in('resourcequotas'), quota('e2e-quota', { cpu: '500m', memory: '500Mi' }, {}, labels));
      const everywhere = `/api/v1/resourcequotas?labelSelector=${ns.name}%3Dlifecycle`;
      expect((await api.get<List>(everywhere)).items).toHaveLength(1);
      const patch = { metadata: { labels: { [ns.name]: 'patched' } }, spec: { hard: { memory: '750Mi' } } };
      expect(await api.patch(ns.in('resourcequotas', 'e2e-quota'), patch, 'strategic')).toMatchObject({
        metadata: { labels: { [ns.name]: 'patched' } },
        spec: { hard: { cpu: '500m', memory: '750Mi' } },
      });
      await api.del(`${ns.in('resourcequotas')}?labelSelector=${ns.name}%3Dpatched`);
      expect((await api.get<List>(ns.in('resourcequotas'))).items).toEqual([]);
    });

    test('should apply changes to a resourcequota status', async () => {
      const ns = await namespace();
      const path = ns.in('resourcequotas', 'status');
      await api.post(ns.in('resourcequotas'), quota('status', { cpu: '500m', memory: '500Mi' }));
      await expect.poll(async () => (await api.get<Quota>(path)).status.hard).toEqual({ cpu: '500m', memory: '500Mi' });
      await using watch = await api.watch<Quota>(
        `${ns.in('resourcequotas')}?resourceVersion=${(await api.get(path)).metadata.resourceVersion}`,
      );
      const written = await api.patch<Quota>(`${path}/status`, { status: { hard: { cpu: '1', memory: '1Gi' } } });
      expect(written).toMatchObject({ spec: { hard: { cpu: '500m', memory: '500Mi' } }, status: { hard: { cpu: '1', memory: '1Gi' } } });
      expect((await watch.next()).object.status.hard).toEqual({ cpu: '1', memory: '1Gi' });
      // The controller looks at changes of the spec only, as upstream's.
      await api.patch(path, { metadata: { labels: { a: 'b' } }, spec: { hard: { cpu: '1', memory: '1Gi' } } });
      await expect.poll(async () => (await api.get<Quota>(`${path}/status`)).status.hard).toEqual({ cpu: '1', memory: '1Gi' });
      const both = await api.patch<Quota>(`${path}/status`, {
        spec: { hard: { cpu: '9' } },
        status: { hard: { cpu: '2', memory: '2Gi' } },
      });
      expect(both).toMatchObject({ spec: { hard: { cpu: '1', memory: '1Gi' } }, status: { hard: { cpu: '2', memory: '2Gi' } } });
    });

    const priority = async (
      operator: string,
      values: readonly string[] | undefined,
      priorityClassName: string | undefined,
      counts: boolean,
    ): Promise<void> => {
      const ns = await namespace();
      for (const [i, name] of ['pclass1', 'pclass2'].entries()) {
        const body = { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, value: 1000 + i };
        await api.call('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', { body });
      }
      const matchExpressions = [{ scopeName: 'PriorityClass', operator, ...(values === undefined ? {} : { values }) }];
      await api.post(ns.in('resourcequotas'), quota('quota-priorityclass', { pods: '1' }, { scopeSelector: { matchExpressions } }));
      await uses(ns, 'quota-priorityclass', { pods: '0' });
      const body = (name: string) => pod(name, priorityClassName === undefined ? {} : { priorityClassName });
      await api.post(ns.in('pods'), body('one'));
      await uses(ns, 'quota-priorityclass', { pods: counts ? '1' : '0' });
      expect((await api.call('POST', ns.in('pods'), { body: body('two') })).code).toBe(counts ? 403 : 201);
    };
    test.each<[string, Parameters<typeof priority>]>([
      [
        "should verify ResourceQuota's priority class scope (quota set to pod count: 1) against a pod with same priority class.",
        ['In', ['pclass1'], 'pclass1', true],
      ],
      [
        "should verify ResourceQuota's priority class scope (quota set to pod count: 1) against a pod with different priority class (ScopeSelectorOpNotIn).",
        ['NotIn', ['pclass2'], 'pclass2', false],
      ],
      [
        "should verify ResourceQuota's priority class scope (quota set to pod count: 1) against a pod with different priority class (ScopeSelectorOpExists).",
        ['Exists', undefined, 'pclass1', true],
      ],
      [
        "should verify ResourceQuota's multiple priority class scope (quota set to pod count: 2) against 2 pods with same priority classes.",
        ['In', ['pclass1', 'pclass2'], 'pclass2', true],
      ],
      ['a pod without a class does not exist for it', ['Exists', undefined, undefined, false]],
    ])('%s', async (_title, row) => {
      await expect(priority(...row)).resolves.toBeUndefined();
    });

    test('should verify ResourceQuota with cross namespace pod affinity scope using scope-selectors.', async () => {
      const affinity = {
        podAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            { topologyKey: 'region', labelSelector: { matchLabels: { a: 'b' } }, namespaces: ['ns1'] },
          ],
        },
      };
      const matchExpressions = [{ scopeName: 'CrossNamespacePodAffinity', operator: 'Exists' }];
      const ns = await withQuota({ pods: '1' }, { scopeSelector: { matchExpressions } });
      await api.post(ns.in('pods'), pod('no-cross-namespace-affinity'));
      await uses(ns, 'test-quota', { pods: '0' });
      await api.post(ns.in('pods'), pod('with-cross-namespace-affinity', { affinity }));
      await uses(ns, 'test-quota', { pods: '1' });
      expect((await api.call('POST', ns.in('pods'), { body: pod('second', { affinity }) })).code).toBe(403);
    });
  });
}
