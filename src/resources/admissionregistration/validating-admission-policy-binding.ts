import { validatingAdmissionPolicyBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { matchResourcesDefaults } from './defaults.ts';
import { validateValidatingBinding } from './policies.ts';
import { policyBindingTable } from './table.ts';

export const validatingAdmissionPolicyBindingKind = defineKind(validatingAdmissionPolicyBindings, {
  validate: validateValidatingBinding,
  generation: 'spec',
  unconditionalUpdate: false,
  defaults: (object) => matchResourcesDefaults(object.spec?.matchResources),
  table: policyBindingTable,
});
