/** Feeds the RBAC index from the watch cache. */
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '#kube/generated/rbac-v1.ts';
import type { CachedEntry, WatchCache } from '#store/contract.ts';
import { follow } from '../follow.ts';
import type { RbacIndex } from './rbac-index.ts';

const prefix = '/registry/rbac.authorization.k8s.io/';

function put(index: RbacIndex, entry: CachedEntry, present: boolean): string {
  const [plural = '', first = '', second = ''] = entry.key.slice(prefix.length).split('/');
  const object = present ? entry.object() : undefined;
  if (plural === 'clusterroles') index.setClusterRole(first, object as ClusterRole | undefined);
  else if (plural === 'clusterrolebindings') index.setClusterRoleBinding(first, object as ClusterRoleBinding | undefined);
  else if (plural === 'roles') index.setRole(first, second, object as Role | undefined);
  else if (plural === 'rolebindings') index.setRoleBinding(first, second, object as RoleBinding | undefined);
  return plural;
}

/** The index is loaded when this returns. `onClusterRole` is called after ClusterRoles changed. */
export function feedRbacIndex(cache: WatchCache, index: RbacIndex, onClusterRole: () => void) {
  return follow(cache, prefix, {
    reset: (entries) => {
      index.clear();
      for (const entry of entries) put(index, entry, true);
      onClusterRole();
    },
    apply: (event) => {
      if (put(index, event.entry, event.type === 'put') === 'clusterroles') onClusterRole();
    },
  });
}
