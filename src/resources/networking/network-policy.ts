import { networkPolicies } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, formatSelector, nameColumn } from '../print.ts';
import { networkPolicyWarnings, validateNetworkPolicy, validateNetworkPolicyUpdate } from './validation.ts';

export const networkPolicyKind = defineKind(networkPolicies, {
  warnings: networkPolicyWarnings,
  validate: validateNetworkPolicy,
  validateUpdate: validateNetworkPolicyUpdate,
  generation: 'spec',
  defaults: (object) => {
    const { spec } = object;
    if (spec === undefined) return;
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
    if ((spec.policyTypes ?? []).length === 0) spec.policyTypes = (spec.egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  },
  table: {
    columns: [nameColumn, column('Pod-Selector', 'The pods that the policy is for.'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', formatSelector(object.spec?.podSelector ?? {}), ageOf(object, now)],
  },
});
