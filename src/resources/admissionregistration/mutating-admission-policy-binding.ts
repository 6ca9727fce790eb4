import { mutatingAdmissionPolicyBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const mutatingAdmissionPolicyBindingKind = defineKind(mutatingAdmissionPolicyBindings, {
  generation: 'spec',
  unconditionalUpdate: false,
});
