/** What RoleBinding and ClusterRoleBinding have in common. */
import type { ClusterRoleBinding, RoleBinding } from '#kube/generated/rbac-v1.ts';
import type { TableDef } from '#kube/kind.ts';
import type { Mutable } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn, wideColumn } from '../print.ts';

export const rbacGroup = 'rbac.authorization.k8s.io';

export function bindingDefaults(object: Mutable<RoleBinding | ClusterRoleBinding>): void {
  object.roleRef.apiGroup ||= rbacGroup;
  for (const subject of object.subjects ?? []) {
    if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup ||= rbacGroup;
  }
}

export const bindingTable: TableDef<RoleBinding | ClusterRoleBinding> = {
  columns: [
    nameColumn,
    column('Role', 'The role that is granted.'),
    ageColumn,
    wideColumn('Users', 'Users in the roleBinding.'),
    wideColumn('Groups', 'Groups in the roleBinding.'),
    wideColumn('ServiceAccounts', 'ServiceAccounts in the roleBinding.'),
  ],
  cells: (object, now) => {
    const of = (kind: string): string =>
      (object.subjects ?? [])
        .filter((s) => s.kind === kind)
        .map((s) => (kind === 'ServiceAccount' ? `${s.namespace ?? ''}/${s.name}` : s.name))
        .join(', ');
    const role = `${object.roleRef.kind}/${object.roleRef.name}`;
    return [object.metadata.name ?? '', role, ageOf(object, now), of('User'), of('Group'), of('ServiceAccount')];
  },
};
