import { validatingAdmissionPolicyBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const validatingAdmissionPolicyBindingKind = defineKind(validatingAdmissionPolicyBindings, {
  generation: 'spec',
  unconditionalUpdate: false,
});
