import { resourceClaims } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const resourceClaimKind = defineKind(resourceClaims, { hasStatus: true });
