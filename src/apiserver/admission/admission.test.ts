import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { PodSpec } from '#kube/generated/core-v1.ts';
import {
  certificateSigningRequests,
  configMaps,
  deployments,
  leases,
  namespaces,
  nodes,
  pods,
  priorityClasses,
  serviceAccounts,
} from '#kube/refs.ts';
import { createRequest } from '#lib/x509.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { seededRandom } from '#platform/random.ts';
import { builtinKinds } from '#resources/index.ts';
import type { Authorize } from '../contract.ts';
import { testObjects } from '../test-objects.ts';
import { createDefaultTolerationSeconds } from './default-toleration-seconds.ts';
import { createNamespaceLifecycle } from './namespace-lifecycle.ts';
import { createNodeRestriction } from './node-restriction.ts';
import { createPodTopologyLabels } from './pod-topology-labels.ts';
import { createPriority } from './priority.ts';
import { createServiceAccount } from './service-account.ts';
import { taintNodesByCondition } from './taint-nodes-by-condition.ts';
import { ask } from './testing.ts';

const pod = (spec: object = {}, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default', ...metadata },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});
const specOf = (draft: object): PodSpec => (draft as { spec: PodSpec }).spec;

describe('NamespaceLifecycle', async () => {
  const objects = await testObjects(builtinKinds);
  await objects.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' }, status: { phase: 'Active' } });
  await objects.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'going' }, status: { phase: 'Terminating' } });
  const plugins = [createNamespaceLifecycle(objects)];

  test('objects go into namespaces that are there', async () => {
    await expect(ask(plugins, pods, { object: pod() })).resolves.toBeDefined();
    await expect(ask(plugins, pods, { object: pod(), namespace: 'none' })).rejects.toMatchObject({
      code: 404,
      message: 'namespaces "none" not found',
    });
  });

  test('nothing is created in one that is being deleted, but changes and deletions go on', async () => {
    await expect(ask(plugins, deployments, { object: { metadata: { generateName: 'x-' } }, namespace: 'going' })).rejects.toMatchObject({
      code: 403,
      message: 'deployments.apps "x-" is forbidden: unable to create new content in namespace going because it is being terminated',
      details: {
        causes: [{ reason: 'NamespaceTerminating', message: 'namespace going is being terminated', field: 'metadata.namespace' }],
      },
    });
    await expect(ask(plugins, pods, { operation: 'UPDATE', object: pod(), namespace: 'going' })).resolves.toBeDefined();
    await expect(ask(plugins, pods, { operation: 'DELETE', namespace: 'none' })).resolves.toBeDefined();
  });

  test.each(['default', 'kube-system', 'kube-public'])('%s is not deleted', async (name) => {
    await expect(ask(plugins, namespaces, { operation: 'DELETE', name })).rejects.toThrow(
      `namespaces "${name}" is forbidden: this namespace may not be deleted`,
    );
  });
});

describe('ServiceAccount', () => {
  const setup = async (account: object = {}) => {
    const objects = await testObjects(builtinKinds);
    await objects.put({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'default' }, ...account });
    const clock = fakeClock();
    return { objects, clock, plugins: [createServiceAccount({ objects, clock, random: seededRandom(1) })] };
  };

  test('a pod gets the default account and a token volume in each of its containers', async () => {
    const { plugins } = await setup({ imagePullSecrets: [{ name: 'pull' }] });
    const spec = specOf(await ask(plugins, pods, { object: pod({ initContainers: [{ name: 'i', image: 'i' }] }) }));
    expect(spec.serviceAccountName).toBe('default');
    expect(spec.serviceAccount).toBe('default');
    expect(spec.imagePullSecrets).toEqual([{ name: 'pull' }]);
    const [volume] = spec.volumes ?? [];
    expect(volume?.name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
    expect(volume?.projected).toEqual({
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
      ],
      defaultMode: 420,
    });
    const mount = { name: volume?.name, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' };
    expect(spec.containers[0]?.volumeMounts).toEqual([mount]);
    expect(spec.initContainers?.[0]?.volumeMounts).toEqual([mount]);
  });

  test.each<[string, object, object]>([
    ['the pod', {}, { automountServiceAccountToken: false }],
    ['the account', { automountServiceAccountToken: false }, {}],
  ])('no token where %s does not want one', async (_who, account, spec) => {
    const { plugins } = await setup(account);
    expect(specOf(await ask(plugins, pods, { object: pod(spec) })).volumes).toBeUndefined();
  });

  test('a container that mounts something there itself gets no other', async () => {
    const { plugins } = await setup();
    const volumeMounts = [{ name: 'own', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }];
    const spec = specOf(await ask(plugins, pods, { object: pod({ containers: [{ name: 'c', image: 'i', volumeMounts }] }) }));
    expect(spec.volumes).toBeUndefined();
    expect(spec.containers[0]?.volumeMounts).toEqual(volumeMounts);
  });

  test.each<[string, object, string]>([
    ['volume', { volumes: [{ name: 'v', secret: { secretName: 's' } }] }, 'volume with secret.secretName="s"'],
    [
      'init container',
      { initContainers: [{ name: 'i', env: [{ name: 'E', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }] },
      'init container i with envVar E referencing secret.secretName="s"',
    ],
    [
      'container',
      { containers: [{ name: 'c', envFrom: [{ secretRef: { name: 's' } }] }] },
      'container c with envFrom referencing secret.secretName="s"',
    ],
    [
      'ephemeral container',
      { ephemeralContainers: [{ name: 'e', envFrom: [{ secretRef: { name: 's' } }] }] },
      'ephemeral container e with envFrom',
    ],
  ])('an account that lists its secrets lets no %s have others', async (what, spec, why) => {
    const metadata = { name: 'default', namespace: 'default', annotations: { 'kubernetes.io/enforce-mountable-secrets': 'true' } };
    const ask1 = async (secrets: object[]) => {
      const object = pod({ serviceAccountName: 'default', ...spec });
      const later = { operation: 'UPDATE', subresource: 'ephemeralcontainers', oldObject: pod() } as const;
      return ask((await setup({ metadata, secrets })).plugins, pods, { object, ...(what === 'ephemeral container' ? later : {}) });
    };
    await expect(ask1([{ name: 's' }])).resolves.toBeDefined();
    await expect(ask1([])).rejects.toThrow(why);
    await expect(ask1([])).rejects.toThrow('is not allowed because service account default does not reference that secret');
  });

  test('an account that does not exist is refused', async () => {
    const { plugins } = await setup();
    await expect(ask(plugins, pods, { object: pod({ serviceAccountName: 'other' }) })).rejects.toMatchObject({
      code: 403,
      message: 'pods "p" is forbidden: error looking up service account default/other: serviceaccount "other" not found',
    });
  });

  test('the default account of a new namespace is waited for', async () => {
    const { plugins, objects, clock } = await setup();
    await objects.drop('ServiceAccount', 'default', 'default');
    const asked = ask(plugins, pods, { object: pod() });
    await clock.advance(100);
    await objects.put({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'default' } });
    await clock.advance(100);
    expect(specOf(await asked).serviceAccountName).toBe('default');
  });

  test('mirror pods are left alone and may not name secrets or accounts', async () => {
    const { plugins } = await setup();
    const annotations = { 'kubernetes.io/config.mirror': 'x' };
    expect(specOf(await ask(plugins, pods, { object: pod({}, { annotations }) })).serviceAccountName).toBeUndefined();
    await expect(ask(plugins, pods, { object: pod({ serviceAccountName: 'a' }, { annotations }) })).rejects.toThrow(
      'a mirror pod may not reference service accounts',
    );
    const volumes = [{ name: 's', secret: { secretName: 's' } }];
    await expect(ask(plugins, pods, { object: pod({ volumes }, { annotations }) })).rejects.toThrow(
      'a mirror pod may not reference secrets',
    );
  });

  test('an account may limit its pods to its own secrets', async () => {
    const metadata = { name: 'default', namespace: 'default', annotations: { 'kubernetes.io/enforce-mountable-secrets': 'true' } };
    const { plugins } = await setup({ metadata, secrets: [{ name: 'mine' }] });
    const volumes = (secretName: string): object => ({ volumes: [{ name: 's', secret: { secretName } }] });
    await expect(ask(plugins, pods, { object: pod(volumes('mine')) })).resolves.toBeDefined();
    await expect(ask(plugins, pods, { object: pod(volumes('other')) })).rejects.toThrow(
      'volume with secret.secretName="other" is not allowed because service account default does not reference that secret',
    );
  });
});

describe('Priority', async () => {
  const objects = await testObjects(builtinKinds);
  const plugins = [createPriority(objects)];
  const priorityClass = (name: string, value: number, more: object = {}) => ({
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name },
    value,
    ...more,
  });
  await objects.put(priorityClass('high', 1000, { preemptionPolicy: 'Never' }));

  test('a pod without a class has priority 0', async () => {
    expect(specOf(await ask(plugins, pods, { object: pod() }))).toMatchObject({ priority: 0, preemptionPolicy: 'PreemptLowerPriority' });
  });

  test('a class gives its value and policy', async () => {
    const spec = specOf(await ask(plugins, pods, { object: pod({ priorityClassName: 'high' }) }));
    expect(spec).toMatchObject({ priorityClassName: 'high', priority: 1000, preemptionPolicy: 'Never' });
  });

  test('the classes of the system are there from the first moment', async () => {
    expect(specOf(await ask(plugins, pods, { object: pod({ priorityClassName: 'system-node-critical' }) })).priority).toBe(2_000_001_000);
  });

  test('unknown classes and priorities made up by clients are refused', async () => {
    await expect(ask(plugins, pods, { object: pod({ priorityClassName: 'none' }) })).rejects.toThrow(
      'pods "p" is forbidden: no PriorityClass with name none was found',
    );
    await expect(ask(plugins, pods, { object: pod({ priority: 5 }) })).rejects.toThrow(
      'the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name',
    );
  });

  test('an update keeps the priority', async () => {
    const oldObject = pod({ priority: 7, preemptionPolicy: 'Never' });
    expect(specOf(await ask(plugins, pods, { operation: 'UPDATE', object: pod(), oldObject }))).toMatchObject({
      priority: 7,
      preemptionPolicy: 'Never',
    });
  });

  test('there is one default', async () => {
    const other = await testObjects(builtinKinds);
    const own = [createPriority(other)];
    await ask(own, priorityClasses, { object: priorityClass('a', 5, { globalDefault: true }) });
    await other.put(priorityClass('a', 5, { globalDefault: true }));
    expect(specOf(await ask(own, pods, { object: pod() }))).toMatchObject({ priorityClassName: 'a', priority: 5 });
    await expect(ask(own, priorityClasses, { object: priorityClass('b', 5, { globalDefault: true }) })).rejects.toThrow(
      'PriorityClass a is already marked as default. Only one default can exist',
    );
  });
});

test('pods tolerate a lost node for 300 s, unless they say otherwise', async () => {
  const plugins = [createDefaultTolerationSeconds()];
  const added = (key: string) => ({ key: `node.kubernetes.io/${key}`, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 });
  expect(specOf(await ask(plugins, pods, { object: pod() })).tolerations).toEqual([added('not-ready'), added('unreachable')]);
  const own = [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', tolerationSeconds: 5 }];
  expect(specOf(await ask(plugins, pods, { object: pod({ tolerations: own }) })).tolerations).toEqual([...own, added('unreachable')]);
  const all = [{ operator: 'Exists' }];
  expect(specOf(await ask(plugins, pods, { object: pod({ tolerations: all }) })).tolerations).toEqual(all);
});

test('a pod gets the zone and region of the node it is bound to', async () => {
  const objects = await testObjects(builtinKinds);
  const labels = { 'topology.kubernetes.io/zone': 'z', 'topology.kubernetes.io/region': 'r', other: 'x' };
  await objects.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', labels } });
  const plugins = [createPodTopologyLabels(objects)];
  const expected = { 'topology.kubernetes.io/zone': 'z', 'topology.kubernetes.io/region': 'r' };
  const binding = { metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } };
  expect((await ask(plugins, pods, { subresource: 'binding', object: binding })).metadata.labels).toEqual(expected);
  const own = pod({ nodeName: 'n' }, { labels: { a: 'b' } });
  expect((await ask(plugins, pods, { object: own })).metadata.labels).toEqual({ a: 'b', ...expected });
  expect((await ask(plugins, pods, { object: pod({ nodeName: 'gone' }) })).metadata.labels).toBeUndefined();
});

test('a new node is tainted as not ready', async () => {
  const node = await ask([taintNodesByCondition], nodes, { object: { metadata: { name: 'n' } } });
  expect(node['spec']).toEqual({ taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }] });
});

describe('NodeRestriction', async () => {
  const objects = await testObjects(builtinKinds);
  await objects.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', uid: 'node-uid' } });
  const audiences = [{ serviceAccountToken: { path: 'token', audience: 'vault' } }, { serviceAccountToken: { path: 't' } }];
  const volumes = [{ name: 'v', projected: { sources: audiences } }];
  await objects.put({
    ...(pod({ nodeName: 'n1', volumes }, { name: 'mine', uid: 'mine-uid' }) as { kind: string }),
    apiVersion: 'v1',
    metadata: { name: 'mine', namespace: 'default', uid: 'mine-uid' },
  });
  await objects.put({
    ...(pod({ nodeName: 'n2' }) as { kind: string }),
    apiVersion: 'v1',
    metadata: { name: 'theirs', namespace: 'default', uid: 'theirs-uid' },
  });
  let allowed = '';
  const authorize: Authorize = (a) => ({ decision: a.resource === allowed ? 'allow' : 'noOpinion', reason: '' });
  const plugins = [createNodeRestriction({ objects, authorize })];
  const user = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] };
  const owner = { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'node-uid', controller: true };
  const mirror = (spec: object = {}, metadata: object = {}): object =>
    pod({ nodeName: 'n1', ...spec }, { annotations: { 'kubernetes.io/config.mirror': 'h' }, ownerReferences: [owner], ...metadata });
  const token = (ref: object | undefined, wanted: string[] = []): object => ({
    metadata: {},
    spec: { audiences: wanted, ...(ref === undefined ? {} : { boundObjectRef: ref }) },
  });
  const bound = { apiVersion: 'v1', kind: 'Pod', name: 'mine', uid: 'mine-uid' };

  test('others are not its concern', async () => {
    await expect(ask(plugins, nodes, { operation: 'UPDATE', object: { metadata: { name: 'n9' } } })).resolves.toBeDefined();
  });

  test.each<[string, Parameters<typeof ask>[1], Parameters<typeof ask>[2]]>([
    ['its own mirror pods', pods, { object: mirror() }],
    ['deletion of its pods', pods, { operation: 'DELETE', name: 'mine' }],
    [
      'status of its pods',
      pods,
      { operation: 'UPDATE', subresource: 'status', object: pod({ nodeName: 'n1' }), oldObject: pod({ nodeName: 'n1' }) },
    ],
    ['eviction of its pods', pods, { subresource: 'eviction', name: 'mine', object: { metadata: { name: 'mine' } } }],
    ['its node', nodes, { object: { metadata: { name: 'n1', labels: { 'kubernetes.io/os': 'linux', own: 'x' } } } }],
    ['its lease', leases, { namespace: 'kube-node-lease', object: { metadata: { name: 'n1' } } }],
    ['a token for its pod', serviceAccounts, { subresource: 'token', name: 'default', object: token(bound) }],
    ['a token for an audience of its pod', serviceAccounts, { subresource: 'token', name: 'default', object: token(bound, ['vault']) }],
    ['other kinds, which authorization guards', configMaps, { object: { metadata: { name: 'x' } } }],
  ])('a node may write %s', async (_what, ref, options) => {
    await expect(ask(plugins, ref, { ...options, user })).resolves.toBeDefined();
  });

  test.each<[string, Parameters<typeof ask>[1], Parameters<typeof ask>[2]]>([
    [
      'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods',
      pods,
      { object: pod({ nodeName: 'n1' }) },
    ],
    ['node "n1" can only create pods with spec.nodeName set to itself', pods, { object: mirror({ nodeName: 'n2' }) }],
    ['can only create pods with an owner reference set to itself', pods, { object: mirror({}, { ownerReferences: [] }) }],
    ['node n1 UID mismatch: expected x got node-uid', pods, { object: mirror({}, { ownerReferences: [{ ...owner, uid: 'x' }] }) }],
    ['can not create pods that reference a service account', pods, { object: mirror({ serviceAccountName: 'default' }) }],
    ['can not create pods that reference secrets', pods, { object: mirror({ volumes: [{ name: 's', secret: { secretName: 's' } }] }) }],
    ['can not create pods that reference configmaps', pods, { object: mirror({ volumes: [{ name: 's', configMap: { name: 's' } }] }) }],
    ['can only delete pods with spec.nodeName set to itself', pods, { operation: 'DELETE', name: 'theirs' }],
    [
      'unexpected operation "UPDATE", node "n1" can only create and delete mirror pods',
      pods,
      { operation: 'UPDATE', object: pod(), oldObject: pod() },
    ],
    [
      'node "n1" cannot update labels through pod status',
      pods,
      {
        operation: 'UPDATE',
        subresource: 'status',
        object: pod({ nodeName: 'n1' }, { labels: { a: 'b' } }),
        oldObject: pod({ nodeName: 'n1' }),
      },
    ],
    ['node n1 can only evict pods', pods, { subresource: 'eviction', name: 'theirs', object: { metadata: { name: 'theirs' } } }],
    ["unexpected pod subresource \"log\", only 'status' and 'eviction' are allowed", pods, { subresource: 'log', name: 'mine' }],
    ['node "n1" is not allowed to modify node "n2"', nodes, { object: { metadata: { name: 'n2' } } }],
    [
      'node "n1" is not allowed to set the following labels: node-restriction.kubernetes.io/x, x.k8s.io/y',
      nodes,
      { object: { metadata: { name: 'n1', labels: { 'x.k8s.io/y': '1', 'node-restriction.kubernetes.io/x': '1' } } } },
    ],
    [
      'node "n1" is not allowed to modify taints',
      nodes,
      {
        operation: 'UPDATE',
        object: { metadata: { name: 'n1' } },
        oldObject: { metadata: { name: 'n1' }, spec: { taints: [{ key: 'a' }] } },
      },
    ],
    [
      'is not allowed to modify labels: node-role.kubernetes.io/control-plane',
      nodes,
      {
        operation: 'UPDATE',
        object: { metadata: { name: 'n1', labels: { 'node-role.kubernetes.io/control-plane': '' } } },
        oldObject: { metadata: { name: 'n1' } },
      },
    ],
    ['can only access leases in the "kube-node-lease" system namespace', leases, { object: { metadata: { name: 'n1' } } }],
    ['can only access node lease with the same name', leases, { namespace: 'kube-node-lease', object: { metadata: { name: 'n2' } } }],
    ['node requested token not bound to a pod', serviceAccounts, { subresource: 'token', name: 'default', object: token(undefined) }],
    [
      'node requested token bound to a pod scheduled on a different node',
      serviceAccounts,
      { subresource: 'token', name: 'default', object: token({ ...bound, name: 'theirs', uid: 'theirs-uid' }) },
    ],
    [
      'audience "other" not found in pod spec volume',
      serviceAccounts,
      { subresource: 'token', name: 'd', object: token(bound, ['other']) },
    ],
  ])('refused: %s', async (message, ref, options) => {
    await expect(ask(plugins, ref, { ...options, user })).rejects.toThrow(message);
  });

  test('a node asks for tokens of audiences that a CSI driver wants, or that it has the right to', async () => {
    await objects.put({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'CSIDriver',
      metadata: { name: 'd' },
      spec: { tokenRequests: [{ audience: 'disk' }] },
    });
    await objects.put({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'pv' }, spec: { csi: { driver: 'd' } } });
    const claim = { metadata: { name: 'c', namespace: 'default' }, spec: { volumeName: 'pv' } };
    await objects.put({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', ...claim });
    const spec = { nodeName: 'n1', containers: [], volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] };
    await objects.put({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'disk', namespace: 'default', uid: 'disk-uid' }, spec });
    const request = (audience: string) =>
      ask(plugins, serviceAccounts, {
        subresource: 'token',
        name: 'd',
        user,
        object: token({ ...bound, name: 'disk', uid: 'disk-uid' }, [audience]),
      });
    await expect(request('disk')).resolves.toBeDefined();
    await expect(request('other')).rejects.toThrow('audience "other" not found in pod spec volume');
    allowed = 'other';
    await expect(request('other')).resolves.toBeDefined();
  });

  test('a node asks for certificates in its own name', async () => {
    const csr = (commonName: string, signerName = 'kubernetes.io/kubelet-serving') => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const pem = createRequest(privateKey, { commonName, organizations: ['system:nodes'] });
      return { metadata: { name: 'c' }, spec: { signerName, request: Buffer.from(pem).toString('base64') } };
    };
    const request = (object: object) => ask(plugins, certificateSigningRequests, { object, user });
    await expect(request(csr('system:node:n1'))).resolves.toBeDefined();
    await expect(request(csr('system:node:n2'))).rejects.toThrow('can only create a node CSR with CN=system:node:n1');
    await expect(request(csr('else', 'example.com/own'))).resolves.toBeDefined();
  });
});
