/** The rules of ClusterRoles that collect others': pkg/controller/clusterroleaggregation. */
import type { ClusterRole, PolicyRule } from '#kube/generated/rbac-v1.ts';
import { fromLabelSelector, matchesLabels } from '#kube/selector.ts';

/** Undefined for a role that collects nothing. Roles are visited by name; a rule is taken once. */
export function aggregatedRules(role: ClusterRole, all: Iterable<ClusterRole>): readonly PolicyRule[] | undefined {
  if (role.aggregationRule === undefined) return undefined;
  const selectors = (role.aggregationRule.clusterRoleSelectors ?? []).map((s) => fromLabelSelector(s));
  const chosen = [...all]
    .filter((r) => r.metadata.name !== role.metadata.name && selectors.some((s) => matchesLabels(s, r.metadata.labels)))
    .sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1));
  const rules = new Map<string, PolicyRule>();
  for (const rule of chosen.flatMap((r) => r.rules ?? [])) rules.set(JSON.stringify(rule), rule);
  return [...rules.values()];
}
