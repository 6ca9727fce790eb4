import { mutatingAdmissionPolicyBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { matchResourcesDefaults } from './defaults.ts';
import { validatePolicyBinding } from './policies.ts';
import { policyBindingTable } from './table.ts';

export const mutatingAdmissionPolicyBindingKind = defineKind(mutatingAdmissionPolicyBindings, {
  validate: validatePolicyBinding,
  generation: 'spec',
  unconditionalUpdate: false,
  defaults: (object) => matchResourcesDefaults(object.spec?.matchResources),
  table: policyBindingTable,
});
