import { validatingAdmissionPolicyBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { matchResourcesDefaults } from './defaults.ts';
import { policyBindingTable } from './table.ts';
import { validateValidatingBinding } from './validation.ts';

export const validatingAdmissionPolicyBindingKind = defineKind(validatingAdmissionPolicyBindings, {
  validate: validateValidatingBinding,
  generation: 'spec',
  unconditionalUpdate: false,
  defaults: (object) => matchResourcesDefaults(object.spec?.matchResources),
  table: policyBindingTable,
});
