import { beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject } from '#kube/object.ts';
import { clusterRoleBindings, clusterRoles } from '#kube/refs.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { builtinKinds } from '#resources/index.ts';
import { createMemoryStore } from '#store/drivers/memory/memory-store.ts';
import { createWatchCache } from '#store/watch-cache.ts';
import type { AdmissionRequest, ApiRequest, AuthorizationAttributes, Decision, UserInfo } from '../contract.ts';
import { testObjects } from '../test-objects.ts';
import { createAuthorization } from './authorizer.ts';
import { bootstrapPolicy } from './bootstrap-policy.ts';
import { escalationPlugin } from './escalation.ts';
import { forbiddenError } from './messages.ts';
import { nodeAuthorizer } from './node.ts';
import { NodeGraph } from './node-graph.ts';
import { rbacAuthorizer } from './rbac.ts';
import { RbacIndex } from './rbac-index.ts';
import { reconcileBootstrapPolicy } from './reconcile.ts';
import { accessReviews } from './reviews.ts';

const signal = new AbortController().signal;
const user = (name: string, ...groups: string[]): UserInfo => ({ name, groups: [...groups, 'system:authenticated'] });

/** "list pods", "get apps deployments/scale in ns name x", "get /metrics". */
function question(who: UserInfo, text: string, more: Partial<AuthorizationAttributes> = {}): AuthorizationAttributes {
  const [verb = '', what = '', ...rest] = text.split(' ');
  const path = what.startsWith('/');
  const grouped = rest[0] !== undefined && rest[0] !== 'in' && rest[0] !== 'name';
  const [resource = '', subresource = ''] = (grouped ? (rest[0] ?? '') : what).split('/');
  const after = (word: string): string => (rest.includes(word) ? (rest[rest.indexOf(word) + 1] ?? '') : '');
  return {
    user: who,
    verb,
    resourceRequest: !path,
    group: grouped ? what : '',
    version: 'v1',
    resource: path ? '' : resource,
    subresource: path ? '' : subresource,
    namespace: after('in'),
    name: after('name'),
    path: path ? what : '',
    ...more,
  };
}

const rbac = 'rbac.authorization.k8s.io/v1';

function indexed(objects: readonly KubeObject[] = []): RbacIndex {
  const index = new RbacIndex();
  const policy = bootstrapPolicy();
  const put = (o: KubeObject & Record<string, unknown>): void => {
    const { namespace = '', name = '' } = o.metadata;
    if (o.kind === 'ClusterRole') index.setClusterRole(name, o as never);
    else if (o.kind === 'Role') index.setRole(namespace, name, o as never);
    else if (o.kind === 'ClusterRoleBinding') index.setClusterRoleBinding(name, o as never);
    else index.setRoleBinding(namespace, name, o as never);
  };
  const all = [...policy.clusterRoles, ...policy.clusterRoleBindings, ...policy.roles, ...policy.roleBindings, ...objects];
  for (const o of all) put(o as unknown as KubeObject & Record<string, unknown>);
  return index;
}

const role = (namespace: string, name: string, ...rules: object[]) => ({
  apiVersion: rbac,
  kind: 'Role',
  metadata: { namespace, name },
  rules,
});
const bindRole = (namespace: string, name: string, kind: string, to: object) => ({
  apiVersion: rbac,
  kind: 'RoleBinding',
  metadata: { namespace, name },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
  subjects: [to],
});

describe('RBAC', () => {
  const index = indexed([
    role('ns', 'reader', { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods', 'pods/log'] }),
    bindRole('ns', 'reader', 'Role', { kind: 'User', name: 'alice' }),
    role('ns', 'one', { verbs: ['get'], apiGroups: [''], resources: ['secrets'], resourceNames: ['s1'] }),
    bindRole('ns', 'one', 'Role', { kind: 'ServiceAccount', name: 'sa' }),
    bindRole('ns', 'view', 'ClusterRole', { kind: 'Group', name: 'dev' }),
    bindRole('ns', 'nowhere', 'Role', { kind: 'User', name: 'bob' }),
  ]);
  const authorize = rbacAuthorizer(index);
  const ask = (who: UserInfo, text: string) => authorize(question(who, text), signal) as Decision;
  const sa = user('system:serviceaccount:ns:sa', 'system:serviceaccounts', 'system:serviceaccounts:ns');
  const anonymous: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

  test.each([
    [user('alice'), 'list pods in ns', true],
    [user('alice'), 'get pods/log in ns name p', true],
    [user('alice'), 'get pods/exec in ns name p', false],
    [user('alice'), 'delete pods in ns name p', false],
    [user('alice'), 'list pods in other', false],
    [user('alice'), 'list pods', false],
    [user('alice'), 'list apps pods in ns', false],
    [sa, 'get secrets in ns name s1', true],
    [sa, 'get secrets in ns name s2', false],
    [sa, 'list secrets in ns', false],
    [user('system:kube-scheduler'), 'create pods/binding in x name p', true],
    [user('system:kube-scheduler'), 'create pods in x', false],
    [user('system:serviceaccount:kube-system:generic-garbage-collector'), 'delete example.com things in x name y', true],
    [user('system:serviceaccount:kube-system:horizontal-pod-autoscaler'), 'update example.com things/scale in x name y', true],
    [user('nobody'), 'get /apis/apps/v1', true],
    [user('nobody'), 'get /metrics', false],
    [user('nobody'), 'create authorization.k8s.io selfsubjectaccessreviews', true],
    [anonymous, 'get /version', true],
    [anonymous, 'get /livez', true],
    [anonymous, 'get /api', false],
    [user('prometheus', 'system:monitoring'), 'get /metrics', true],
  ])('%o: %s → %s', (who, text, allowed) => {
    expect(ask(who, text).decision).toBe(allowed ? 'allow' : 'noOpinion');
  });

  test('reasons name binding and role, and roles that are missing', () => {
    expect(ask(user('alice'), 'list pods in ns').reason).toBe('RBAC: allowed by RoleBinding "reader/ns" of Role "reader" to User "alice"');
    expect(ask(sa, 'get secrets in ns name s1').reason).toBe(
      'RBAC: allowed by RoleBinding "one/ns" of Role "one" to ServiceAccount "sa/ns"',
    );
    expect(ask(user('bob'), 'list pods in ns').reason).toBe('RBAC: role.rbac.authorization.k8s.io "nowhere" not found');
  });

  test('a binding that goes takes its rights along', () => {
    const own = indexed([bindRole('ns', 'view', 'ClusterRole', { kind: 'User', name: 'x' })]);
    own.setClusterRole('view', {
      apiVersion: rbac,
      kind: 'ClusterRole',
      metadata: { name: 'view' },
      rules: [{ verbs: ['get'], apiGroups: [''], resources: ['*'] }],
    });
    const decide = () => (rbacAuthorizer(own)(question(user('x'), 'get pods in ns name p'), signal) as Decision).decision;
    expect(decide()).toBe('allow');
    own.setRoleBinding('ns', 'view', undefined);
    expect(decide()).toBe('noOpinion');
  });
});

test.each([
  ['list pods in ns', 'pods is forbidden: User "a" cannot list resource "pods" in API group "" in the namespace "ns"'],
  [
    'get apps deployments/scale in ns name x',
    'deployments.apps "x" is forbidden: User "a" cannot get resource "deployments/scale" in API group "apps" in the namespace "ns"',
  ],
  ['list nodes', 'nodes is forbidden: User "a" cannot list resource "nodes" in API group "" at the cluster scope'],
  ['get /metrics', 'forbidden: User "a" cannot get path "/metrics"'],
])("%s is refused in upstream's words", (text, message) => {
  expect(forbiddenError(question(user('a'), text), '').message).toBe(message);
  expect(forbiddenError(question(user('a'), text), 'why').message).toBe(`${message}: why`);
});

describe('nodes', async () => {
  const objects = await testObjects(builtinKinds);
  const graph = new NodeGraph();
  graph.setPod('p', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'ns' },
    spec: {
      nodeName: 'n1',
      serviceAccountName: 'sa',
      containers: [{ name: 'c', envFrom: [{ secretRef: { name: 'env' } }] }],
      volumes: [
        { name: 'v', secret: { secretName: 'vol' } },
        { name: 'c', configMap: { name: 'cm' } },
        { name: 'd', persistentVolumeClaim: { claimName: 'data' } },
      ],
    },
  });
  await objects.put({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'pv' },
    spec: { claimRef: { namespace: 'ns', name: 'data' } },
  });
  const authorize = nodeAuthorizer(graph, objects);
  const node = (name: string): UserInfo => ({ name: `system:node:${name}`, groups: ['system:nodes', 'system:authenticated'] });

  test.each([
    ['get secrets in ns name vol', true],
    ['get secrets in ns name env', true],
    ['get secrets in ns name other', false],
    ['get secrets in other name vol', false],
    ['list secrets in ns', false],
    ['delete secrets in ns name vol', false],
    ['get configmaps in ns name cm', true],
    ['get persistentvolumeclaims in ns name data', true],
    ['get persistentvolumes name pv', true],
    ['get persistentvolumes name other', false],
    ['create serviceaccounts/token in ns name sa', true],
    ['create serviceaccounts/token in ns name other', false],
    ['get serviceaccounts in ns name sa', true],
    ['get serviceaccounts in ns name other', false],
    ['list serviceaccounts in ns', false],
    ['get nodes name n1', true],
    ['get nodes name n2', false],
    ['create nodes', true],
    ['update nodes/status name n1', true],
    ['get pods in ns name p', true],
    ['get pods in ns name q', false],
    ['list pods', false],
    ['update coordination.k8s.io leases in kube-node-lease name n1', true],
    ['update coordination.k8s.io leases in kube-node-lease name n2', false],
    ['update coordination.k8s.io leases in default name n1', false],
    ['list services', true],
    ['list apps deployments', false],
    ['get /api', false],
  ])('n1 may %s: %s', (text, allowed) => {
    expect((authorize(question(node('n1'), text), signal) as Decision).decision).toBe(allowed ? 'allow' : 'noOpinion');
  });

  test('a node lists its own pods and watches single objects by selector', () => {
    const ask = (who: UserInfo, text: string, fieldSelector: string) =>
      (authorize(question(who, text, { fieldSelector }), signal) as Decision).decision;
    expect(ask(node('n1'), 'list pods', 'spec.nodeName=n1')).toBe('allow');
    expect(ask(node('n1'), 'list pods', 'spec.nodeName=n2')).toBe('noOpinion');
    expect(ask(node('n1'), 'list pods', 'spec.nodeName!=n1')).toBe('noOpinion');
    expect(ask(node('n1'), 'watch secrets in ns', 'metadata.name=vol')).toBe('allow');
    expect(ask(node('n1'), 'watch nodes', 'metadata.name=n1')).toBe('allow');
    expect(ask(user('system:node:n1'), 'list pods', 'spec.nodeName=n1')).toBe('noOpinion');
  });

  test('another node sees nothing of it, and neither does this one once the pod is gone', () => {
    const get = (who: UserInfo) => authorize(question(who, 'get secrets in ns name vol'), signal) as Decision;
    expect(get(node('n2'))).toEqual({ decision: 'noOpinion', reason: "no relationship found between node 'n2' and this object" });
    graph.setPod('q', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'q', namespace: 'ns' },
      spec: { nodeName: 'n3', containers: [], volumes: [{ name: 'v', secret: { secretName: 'vol' } }] },
    });
    expect(get(node('n3')).decision).toBe('allow');
    graph.setPod('q', undefined);
    expect(get(node('n3')).decision).toBe('noOpinion');
    expect(get(node('n1')).decision).toBe('allow');
  });
});

describe('reconciliation at start', () => {
  test('makes all roles with aggregated rules, and the second time nothing', async () => {
    const store = await testObjects(builtinKinds);
    await reconcileBootstrapPolicy(store);
    const admin = store.get(clusterRoles, '', 'admin');
    expect(admin?.rules?.length).toBeGreaterThan(20);
    expect(store.get(clusterRoleBindings, '', 'system:controller:job-controller')?.subjects).toEqual([
      { kind: 'ServiceAccount', name: 'job-controller', namespace: 'kube-system' },
    ]);
    await reconcileBootstrapPolicy(store);
    expect(store.get(clusterRoles, '', 'admin')?.metadata.resourceVersion).toBe(admin?.metadata.resourceVersion);
  });

  test('adds what is missing, keeps what was added, and leaves protected objects alone', async () => {
    const store = await testObjects(builtinKinds);
    const own = { verbs: ['get'], apiGroups: ['example.com'], resources: ['things'] };
    await store.put({ apiVersion: rbac, kind: 'ClusterRole', metadata: { name: 'system:basic-user' }, rules: [own] });
    const annotations = { 'rbac.authorization.kubernetes.io/autoupdate': 'false' };
    await store.put({ apiVersion: rbac, kind: 'ClusterRole', metadata: { name: 'system:discovery', annotations }, rules: [] });
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'wrong' };
    await store.put({ apiVersion: rbac, kind: 'ClusterRoleBinding', metadata: { name: 'cluster-admin' }, roleRef, subjects: [] });
    await reconcileBootstrapPolicy(store);
    expect(store.get(clusterRoles, '', 'system:basic-user')?.rules).toHaveLength(3);
    expect(store.get(clusterRoles, '', 'system:discovery')?.rules).toEqual([]);
    expect(store.get(clusterRoleBindings, '', 'cluster-admin')?.roleRef.name).toBe('cluster-admin');
  });
});

describe('escalation', () => {
  const index = indexed([
    role('ns', 'reader', { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] }),
    role('ns', 'maker', {
      verbs: ['*'],
      apiGroups: ['rbac.authorization.k8s.io'],
      resources: ['roles', 'rolebindings'],
      resourceNames: [],
    }),
    bindRole('ns', 'reader', 'Role', { kind: 'User', name: 'alice' }),
  ]);
  const authorize = rbacAuthorizer(index);
  const plugin = escalationPlugin(authorize, index);
  const request = (who: UserInfo, plural: string, object: object, oldObject?: object): AdmissionRequest =>
    ({
      operation: oldObject === undefined ? 'CREATE' : 'UPDATE',
      def: { ref: { group: 'rbac.authorization.k8s.io', version: 'v1', plural } },
      subresource: '',
      namespace: 'ns',
      name: 'new',
      object,
      oldObject,
      user: who,
      signal,
    }) as unknown as AdmissionRequest;
  const newRole = (...verbs: string[]) => role('ns', 'new', { verbs, apiGroups: [''], resources: ['pods'] });

  test('what one holds one may give', async () => {
    await expect(plugin.validate?.(request(user('alice'), 'roles', newRole('get', 'list')))).resolves.toBeUndefined();
  });
  test('what one lacks one may not give, and is told which', async () => {
    await expect(plugin.validate?.(request(user('alice'), 'roles', newRole('get', 'delete', 'create')))).rejects.toMatchObject({
      reason: 'Forbidden',
      message:
        'roles.rbac.authorization.k8s.io "new" is forbidden: user "alice" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n' +
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete" "create"]}',
    });
    await expect(
      plugin.validate?.(request(user('alice'), 'rolebindings', bindRole('ns', 'admin', 'ClusterRole', {}))),
    ).resolves.toBeUndefined();
    await expect(
      plugin.validate?.(request(user('alice'), 'rolebindings', bindRole('ns', 'cluster-admin', 'ClusterRole', {}))),
    ).rejects.toMatchObject({ reason: 'Forbidden' });
    await expect(
      plugin.validate?.(request(user('alice'), 'rolebindings', bindRole('ns', 'gone', 'ClusterRole', {}))),
    ).rejects.toMatchObject({ reason: 'NotFound' });
  });
  test('unchanged rules pass, and system:masters is not asked', async () => {
    await expect(plugin.validate?.(request(user('bob'), 'roles', newRole('delete'), newRole('delete')))).resolves.toBeUndefined();
    expect(plugin.handles(request(user('root', 'system:masters'), 'roles', newRole('delete')))).toBe(false);
    expect(plugin.handles(request(user('bob'), 'roles', newRole('delete')))).toBe(true);
  });
});

describe('reviews', () => {
  const index = indexed();
  const reviews = accessReviews(rbacAuthorizer(index), index);
  const handle = (kind: string, spec: object, who = user('alice'), namespace = '') => {
    const def = reviews.find((r) => r.resource.kind === kind);
    const object = { apiVersion: 'authorization.k8s.io/v1', kind, metadata: {}, spec };
    return def?.handle(object, { user: who, signal } as ApiRequest, namespace) as Promise<KubeObject & { status: object }>;
  };
  const pods = { resourceAttributes: { verb: 'list', resource: 'pods' } };

  test('answer for oneself and for others', async () => {
    expect((await handle('SelfSubjectAccessReview', pods)).status).toEqual({ allowed: false });
    expect((await handle('SubjectAccessReview', { ...pods, user: 'x', groups: ['system:masters'] })).status).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by ClusterRoleBinding "cluster-admin" of ClusterRole "cluster-admin" to Group "system:masters"',
    });
    expect((await handle('SelfSubjectAccessReview', { nonResourceAttributes: { verb: 'get', path: '/version' } })).status).toMatchObject({
      allowed: true,
    });
  });
  test('refuse questions that make no sense', async () => {
    await expect(handle('SubjectAccessReview', pods)).rejects.toMatchObject({ code: 422 });
    await expect(handle('SelfSubjectAccessReview', {})).rejects.toMatchObject({ code: 422 });
    await expect(handle('LocalSubjectAccessReview', { ...pods, user: 'x' }, user('a'), 'ns')).rejects.toMatchObject({ code: 400 });
  });
  test('list what one may do', async () => {
    const { status } = await handle('SelfSubjectRulesReview', { namespace: 'ns' });
    expect(status).toMatchObject({
      incomplete: false,
      resourceRules: expect.arrayContaining([
        { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
      ]),
    });
  });
});

describe('over a watch cache', () => {
  const encode = (object: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(object));
  let setUp: () => Promise<{
    allowed: (text: string) => Promise<boolean>;
    write: (key: string, object: unknown) => Promise<void>;
    stop: () => Promise<void>;
  }>;
  beforeAll(() => {
    setUp = async () => {
      const log = memoryLogger();
      const cache = await createWatchCache(createMemoryStore(), {}, { clock: fakeClock(), log });
      const authorization = createAuthorization({ cache, store: await testObjects(builtinKinds), clock: fakeClock(), log });
      await authorization.start();
      return {
        allowed: async (text) => (await authorization.authorize(question(user('alice'), text), signal)).decision === 'allow',
        write: async (key, object) => {
          await cache.create(`/registry/rbac.authorization.k8s.io/${key}`, encode(object));
        },
        stop: async () => {
          await authorization.stop();
          await cache.close();
        },
      };
    };
  });
  test('a role and its binding count as soon as they are written', async () => {
    const { allowed, write, stop } = await setUp();
    expect(await allowed('list pods in ns')).toBe(false);
    await write('roles/ns/r', role('ns', 'r', { verbs: ['list'], apiGroups: [''], resources: ['pods'] }));
    await write('rolebindings/ns/r', bindRole('ns', 'r', 'Role', { kind: 'User', name: 'alice' }));
    await new Promise((resolve) => setImmediate(resolve));
    expect(await allowed('list pods in ns')).toBe(true);
    await stop();
  });
});
