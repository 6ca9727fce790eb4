import { validatingAdmissionPolicies } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { matchResourcesDefaults } from './defaults.ts';
import { validateValidatingPolicy } from './policies.ts';
import { policyTable } from './table.ts';

export const validatingAdmissionPolicyKind = defineKind(validatingAdmissionPolicies, {
  validate: validateValidatingPolicy,
  hasStatus: true,
  statusKeepsMetadata: 'all',
  generation: 'spec',
  unconditionalUpdate: false,
  defaults: (object) => {
    if (object.spec === undefined) return;
    object.spec.failurePolicy ??= 'Fail';
    matchResourcesDefaults(object.spec.matchConstraints);
  },
  table: policyTable('Validations'),
});
