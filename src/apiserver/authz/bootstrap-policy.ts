/** The table of bootstrap-roles.ts as objects. */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject } from '#kube/generated/rbac-v1.ts';
import { bootstrapClusterBindings, bootstrapClusterRoles, controllerRoles, namespacePolicies } from './bootstrap-roles.ts';

const apiVersion = 'rbac.authorization.k8s.io/v1';
const apiGroup = 'rbac.authorization.k8s.io';

/** An object with this annotation set to "false" is the administrator's and left alone. */
export const autoUpdateAnnotation = 'rbac.authorization.kubernetes.io/autoupdate';
const aggregateLabel = (to: string): string => `rbac.authorization.k8s.io/aggregate-to-${to}`;

const metadata = (name: string, namespace?: string, labels: Readonly<Record<string, string>> = {}) => ({
  name,
  ...(namespace === undefined ? {} : { namespace }),
  annotations: { [autoUpdateAnnotation]: 'true' },
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
});

export function parseRule(text: string): PolicyRule {
  const [verbs = [], second = [], resources, names] = text.split(' ').map((part) => part.split(','));
  if (resources === undefined) return { verbs, nonResourceURLs: second };
  return {
    verbs,
    apiGroups: second.map((g) => (g === 'core' ? '' : g)),
    resources,
    ...(names === undefined ? {} : { resourceNames: names }),
  };
}

function parseSubject(text: string): Subject {
  const colon = text.indexOf(':');
  const kind = text.slice(0, colon);
  const name = text.slice(colon + 1);
  if (kind !== 'ServiceAccount') return { apiGroup, kind, name };
  const [namespace = '', account = ''] = name.split(':');
  return { kind, name: account, namespace };
}

export interface BootstrapPolicy {
  readonly clusterRoles: readonly ClusterRole[];
  readonly clusterRoleBindings: readonly ClusterRoleBinding[];
  readonly roles: readonly Role[];
  readonly roleBindings: readonly RoleBinding[];
}

function clusterRoles(): ClusterRole[] {
  const own = Object.entries(bootstrapClusterRoles).map(([name, spec]): ClusterRole => {
    const labels = spec.aggregateTo === undefined ? {} : { [aggregateLabel(spec.aggregateTo)]: 'true' };
    const base = { apiVersion, kind: 'ClusterRole', metadata: metadata(name, undefined, labels) };
    if (spec.aggregates === undefined) return { ...base, rules: (spec.rules ?? []).map(parseRule) };
    return { ...base, aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregateLabel(spec.aggregates)]: 'true' } }] } };
  });
  const controllers = Object.entries(controllerRoles).map(
    ([name, rules]): ClusterRole => ({
      apiVersion,
      kind: 'ClusterRole',
      metadata: metadata(`system:controller:${name}`),
      rules: rules.map(parseRule),
    }),
  );
  return [...own, ...controllers];
}

const binding = (role: string, subjects: readonly string[]): ClusterRoleBinding => ({
  apiVersion,
  kind: 'ClusterRoleBinding',
  metadata: metadata(role),
  roleRef: { apiGroup, kind: 'ClusterRole', name: role },
  ...(subjects.length === 0 ? {} : { subjects: subjects.map(parseSubject) }),
});

export function bootstrapPolicy(): BootstrapPolicy {
  return {
    clusterRoles: clusterRoles(),
    clusterRoleBindings: [
      ...Object.entries(bootstrapClusterBindings).map(([role, subjects]) => binding(role, subjects)),
      ...Object.keys(controllerRoles).map((name) => binding(`system:controller:${name}`, [`ServiceAccount:kube-system:${name}`])),
    ],
    roles: namespacePolicies.flatMap((p) =>
      Object.entries(p.roles).map(([name, rules]) => ({
        apiVersion,
        kind: 'Role',
        metadata: metadata(name, p.namespace),
        rules: rules.map(parseRule),
      })),
    ),
    roleBindings: namespacePolicies.flatMap((p) =>
      Object.entries(p.bindings).map(([name, b]) => ({
        apiVersion,
        kind: 'RoleBinding',
        metadata: metadata(name, p.namespace),
        roleRef: { apiGroup, kind: 'Role', name: b.role },
        subjects: b.subjects.map(parseSubject),
      })),
    ),
  };
}
