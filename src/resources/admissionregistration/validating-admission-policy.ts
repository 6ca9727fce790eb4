import { validatingAdmissionPolicies } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { matchResourcesDefaults } from './defaults.ts';
import { policyTable } from './table.ts';
import { validatePolicy } from './validation.ts';

export const validatingAdmissionPolicyKind = defineKind(validatingAdmissionPolicies, {
  validate: validatePolicy,
  hasStatus: true,
  generation: 'spec',
  unconditionalUpdate: false,
  defaults: (object) => {
    if (object.spec === undefined) return;
    object.spec.failurePolicy ??= 'Fail';
    matchResourcesDefaults(object.spec.matchConstraints);
  },
  table: policyTable('Validations'),
});
