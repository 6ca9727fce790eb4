/** Nobody gives away rights that they lack themselves: pkg/registry/rbac/*\/policybased. */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef } from '#kube/generated/rbac-v1.ts';
import { forbidden, notFound } from '#kube/status-error.ts';
import type { AdmissionPlugin, AdmissionRequest, Authorize } from '../contract.ts';
import { rulesFor } from './rbac.ts';
import type { RbacIndex } from './rbac-index.ts';
import { escalationMessage, uncovered } from './rules.ts';

const group = 'rbac.authorization.k8s.io';
const everything: readonly PolicyRule[] = [
  { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  { nonResourceURLs: ['*'], verbs: ['*'] },
];

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

function confirm(request: AdmissionRequest, index: RbacIndex, rules: readonly PolicyRule[]): void {
  const own = rulesFor(index, request.user, request.namespace);
  const missing = uncovered(own.rules, rules);
  if (missing.length === 0) return;
  const errors = own.errors.length === 0 ? '' : `; resolution errors: [${own.errors.join(', ')}]`;
  throw forbidden({ group, plural: request.def.ref.plural }, request.name, escalationMessage(request.user, missing) + errors);
}

async function mayUse(request: AdmissionRequest, authorize: Authorize, verb: string, resource: string, name: string): Promise<boolean> {
  const { user, namespace } = request;
  const attributes = { user, verb, resourceRequest: true, group, version: 'v1', resource, subresource: '', namespace, name, path: '' };
  return (await authorize(attributes, request.signal)).decision === 'allow';
}

async function checkRole(request: AdmissionRequest, authorize: Authorize, index: RbacIndex): Promise<void> {
  const role = request.object as unknown as Role | ClusterRole;
  const old = request.oldObject as unknown as Role | ClusterRole | undefined;
  const aggregation = (r: Role | ClusterRole | undefined) => (r !== undefined && 'aggregationRule' in r ? r.aggregationRule : undefined);
  if (old !== undefined && same(role.rules, old.rules) && same(aggregation(role), aggregation(old))) return;
  if (await mayUse(request, authorize, 'escalate', request.def.ref.plural, request.name)) return;
  confirm(request, index, aggregation(role) === undefined ? (role.rules ?? []) : everything);
}

async function checkBinding(request: AdmissionRequest, authorize: Authorize, index: RbacIndex): Promise<void> {
  const binding = request.object as unknown as RoleBinding | ClusterRoleBinding;
  const old = request.oldObject as unknown as RoleBinding | ClusterRoleBinding | undefined;
  if (old !== undefined && same(binding.roleRef, old.roleRef) && same(binding.subjects, old.subjects)) return;
  const roleRef: RoleRef | undefined = binding.roleRef;
  if (roleRef === undefined) return;
  const plural = roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles';
  if (await mayUse(request, authorize, 'bind', plural, roleRef.name)) return;
  const rules = index.rulesOf(roleRef, request.namespace);
  if (rules === undefined) throw notFound({ group, plural }, roleRef.name);
  confirm(request, index, rules);
}

export function escalationPlugin(authorize: Authorize, index: RbacIndex): AdmissionPlugin {
  const roles = new Set(['roles', 'clusterroles']);
  const bindings = new Set(['rolebindings', 'clusterrolebindings']);
  return {
    name: 'RBACEscalation',
    handles: ({ operation, def, subresource, user }) =>
      (operation === 'CREATE' || operation === 'UPDATE') &&
      subresource === '' &&
      def.ref.group === group &&
      (roles.has(def.ref.plural) || bindings.has(def.ref.plural)) &&
      !user.groups.includes('system:masters'),
    validate: async (request) => {
      if (roles.has(request.def.ref.plural)) await checkRole(request, authorize, index);
      else await checkBinding(request, authorize, index);
    },
  };
}
