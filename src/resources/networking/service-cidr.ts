import { serviceCIDRs } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const serviceCidrKind = defineKind(serviceCIDRs, { hasStatus: true });
