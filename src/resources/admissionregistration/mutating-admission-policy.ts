import { mutatingAdmissionPolicies } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { matchResourcesDefaults } from './defaults.ts';
import { validateMutatingPolicy } from './policies.ts';
import { policyTable } from './table.ts';

export const mutatingAdmissionPolicyKind = defineKind(mutatingAdmissionPolicies, {
  validate: validateMutatingPolicy,
  generation: 'spec',
  unconditionalUpdate: false,
  defaults: (object) => {
    if (object.spec === undefined) return;
    object.spec.failurePolicy ??= 'Fail';
    matchResourcesDefaults(object.spec.matchConstraints);
  },
  table: policyTable('Mutations'),
});
