import { mutatingAdmissionPolicies } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const mutatingAdmissionPolicyKind = defineKind(mutatingAdmissionPolicies, { generation: 'spec', unconditionalUpdate: false });
