import { validatingAdmissionPolicies } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const validatingAdmissionPolicyKind = defineKind(validatingAdmissionPolicies, {
  hasStatus: true,
  generation: 'spec',
  unconditionalUpdate: false,
});
