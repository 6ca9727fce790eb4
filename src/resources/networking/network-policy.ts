import { networkPolicies } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const networkPolicyKind = defineKind(networkPolicies, { generation: 'spec' });
