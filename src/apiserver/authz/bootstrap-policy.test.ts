/** Holds the table of bootstrap-roles.ts against upstream's testdata (plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata of 1.36, default feature gates). */
import { describe, expect, test } from 'vitest';
import type { PolicyRule } from '#kube/generated/rbac-v1.ts';
import { bootstrapPolicy, parseRule } from './bootstrap-policy.ts';
import { uncovered } from './rules.ts';

const policy = bootstrapPolicy();
const own = ['system:k3ts-controller'];

/** Role → how many rules upstream gives it. */
const clusterRoles: Readonly<Record<string, number>> = {
  admin: 0,
  'cluster-admin': 2,
  edit: 0,
  'system:aggregate-to-admin': 2,
  'system:aggregate-to-edit': 14,
  'system:aggregate-to-view': 11,
  'system:auth-delegator': 2,
  'system:basic-user': 2,
  'system:certificates.k8s.io:certificatesigningrequests:nodeclient': 1,
  'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient': 1,
  'system:certificates.k8s.io:kube-apiserver-client-approver': 1,
  'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver': 1,
  'system:certificates.k8s.io:kubelet-serving-approver': 1,
  'system:certificates.k8s.io:legacy-unknown-approver': 1,
  'system:discovery': 1,
  'system:heapster': 2,
  'system:kube-aggregator': 1,
  'system:kube-controller-manager': 11,
  'system:kube-dns': 1,
  'system:kube-scheduler': 26,
  'system:kubelet-api-admin': 4,
  'system:monitoring': 1,
  'system:node': 25,
  'system:node-bootstrapper': 1,
  'system:node-problem-detector': 3,
  'system:node-proxier': 5,
  'system:persistent-volume-provisioner': 5,
  'system:public-info-viewer': 1,
  'system:service-account-issuer-discovery': 1,
  'system:volume-scheduler': 3,
  view: 0,
};

const controllers: Readonly<Record<string, number>> = {
  'attachdetach-controller': 8,
  'certificate-controller': 6,
  'clusterrole-aggregation-controller': 1,
  'cronjob-controller': 6,
  'daemon-set-controller': 8,
  'deployment-controller': 6,
  'device-taint-eviction-controller': 6,
  'disruption-controller': 9,
  'endpoint-controller': 4,
  'endpointslice-controller': 4,
  'endpointslicemirroring-controller': 5,
  'ephemeral-volume-controller': 4,
  'expand-controller': 4,
  'generic-garbage-collector': 2,
  'horizontal-pod-autoscaler': 8,
  'job-controller': 5,
  'legacy-service-account-token-cleaner': 2,
  'namespace-controller': 3,
  'node-controller': 5,
  'persistent-volume-binder': 9,
  'pod-garbage-collector': 3,
  'pv-protection-controller': 2,
  'pvc-protection-controller': 3,
  'replicaset-controller': 5,
  'replication-controller': 5,
  'resource-claim-controller': 7,
  'resourcequota-controller': 3,
  'root-ca-cert-publisher': 2,
  'route-controller': 3,
  'selinux-warning-controller': 5,
  'service-account-controller': 2,
  'service-cidrs-controller': 5,
  'service-controller': 4,
  'statefulset-controller': 10,
  'ttl-after-finished-controller': 2,
  'ttl-controller': 2,
  'validatingadmissionpolicy-status-controller': 3,
  'volumeattributesclass-protection-controller': 4,
};

const rulesOf = (name: string): readonly PolicyRule[] => policy.clusterRoles.find((r) => r.metadata.name === name)?.rules ?? [];
const allows = (role: string, rule: string): boolean => uncovered(rulesOf(role), [parseRule(rule)]).length === 0;

describe("the cluster roles are upstream's", () => {
  const expected = [...Object.keys(clusterRoles), ...Object.keys(controllers).map((c) => `system:controller:${c}`)];
  test('each by name, none besides but our own', () => {
    const names = policy.clusterRoles.map((r) => r.metadata.name ?? '').filter((n) => !own.includes(n));
    expect(names.sort()).toEqual(expected.sort());
  });
  test.each(Object.entries(clusterRoles))('%s has %i rules', (name, count) => {
    // Upstream writes the resources of kubelet-api-admin's last two rules apart: the same rights.
    const merged = name === 'system:kubelet-api-admin' ? 1 : 0;
    expect(rulesOf(name)).toHaveLength(count - merged);
  });
  test.each(Object.entries(controllers))('system:controller:%s has %i rules and its service account is bound to it', (name, count) => {
    expect(rulesOf(`system:controller:${name}`)).toHaveLength(count);
    const binding = policy.clusterRoleBindings.find((b) => b.metadata.name === `system:controller:${name}`);
    expect(binding?.subjects).toEqual([{ kind: 'ServiceAccount', namespace: 'kube-system', name }]);
  });
});

describe('rights that differ between releases', () => {
  test.each([
    ['system:service-account-issuer-discovery', 'get /openid/v1/jwks/', true],
    ['system:kubelet-api-admin', 'get core nodes/configz', true],
    ['system:kube-scheduler', 'update resource.k8s.io resourceclaims/binding', true],
    ['system:kube-scheduler', 'patch core pods/finalizers', true],
    ['system:controller:resource-claim-controller', 'patch resource.k8s.io resourceclaims/binding', true],
    ['system:node', 'deletecollection resource.k8s.io resourceslices', true],
    ['system:node', 'create resource.k8s.io resourceslices', false],
    ['system:node', 'get core serviceaccounts', true],
    ['system:controller:expand-controller', 'get core services', false],
    ['system:controller:persistent-volume-binder', 'get core services', false],
    ['system:controller:persistent-volume-binder', 'get core secrets', false],
    ['system:aggregate-to-edit', 'create core endpoints', false],
    ['system:aggregate-to-edit', 'create discovery.k8s.io endpointslices', false],
    ['system:aggregate-to-edit', 'create core serviceaccounts/token', true],
    ['system:aggregate-to-view', 'get core secrets', false],
    ['system:aggregate-to-view', 'get rbac.authorization.k8s.io roles', false],
    ['system:node-proxier', 'watch networking.k8s.io servicecidrs', true],
  ])('%s: %s → %s', (role, rule, allowed) => {
    expect(allows(role, rule)).toBe(allowed);
  });
});

test('the bindings are those of upstream', () => {
  const users = policy.clusterRoleBindings
    .filter((b) => !own.includes(b.metadata.name ?? '') && b.metadata.name?.startsWith('system:controller:') !== true)
    .map((b) => [b.metadata.name, (b.subjects ?? []).map((s) => `${s.kind} ${s.name}`).sort()]);
  expect(Object.fromEntries(users)).toEqual({
    'cluster-admin': ['Group system:masters'],
    'system:basic-user': ['Group system:authenticated'],
    'system:discovery': ['Group system:authenticated'],
    'system:kube-controller-manager': ['User system:kube-controller-manager'],
    'system:kube-dns': ['ServiceAccount kube-dns'],
    'system:kube-scheduler': ['User system:kube-scheduler'],
    'system:monitoring': ['Group system:monitoring'],
    'system:node': [],
    'system:node-proxier': ['User system:kube-proxy'],
    'system:public-info-viewer': ['Group system:authenticated', 'Group system:unauthenticated'],
    'system:service-account-issuer-discovery': ['Group system:serviceaccounts'],
    'system:volume-scheduler': ['User system:kube-scheduler'],
  });
  expect(policy.roles.map((r) => `${r.metadata.namespace}/${r.metadata.name} ${r.rules?.length}`).sort()).toEqual([
    'kube-public/system:controller:bootstrap-signer 3',
    'kube-system/extension-apiserver-authentication-reader 1',
    'kube-system/system::leader-locking-kube-controller-manager 3',
    'kube-system/system::leader-locking-kube-scheduler 2',
    'kube-system/system:controller:bootstrap-signer 1',
    'kube-system/system:controller:cloud-provider 1',
    'kube-system/system:controller:token-cleaner 2',
  ]);
  expect(policy.roleBindings.map((b) => `${b.metadata.namespace}/${b.metadata.name}`).sort()).toEqual([
    'kube-public/system:controller:bootstrap-signer',
    'kube-system/system::extension-apiserver-authentication-reader',
    'kube-system/system::leader-locking-kube-controller-manager',
    'kube-system/system::leader-locking-kube-scheduler',
    'kube-system/system:controller:bootstrap-signer',
    'kube-system/system:controller:cloud-provider',
    'kube-system/system:controller:token-cleaner',
  ]);
});
