import { leases } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const leaseKind = defineKind(leases, { durability: 'lazy', createOnUpdate: true, unconditionalUpdate: false });
