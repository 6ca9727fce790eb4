import { validatingAdmissionPolicyBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { matchResourcesDefaults } from './defaults.ts';
import { policyBindingTable } from './table.ts';

export const validatingAdmissionPolicyBindingKind = defineKind(validatingAdmissionPolicyBindings, {
  generation: 'spec',
  unconditionalUpdate: false,
  defaults: (object) => matchResourcesDefaults(object.spec?.matchResources),
  table: policyBindingTable,
});
