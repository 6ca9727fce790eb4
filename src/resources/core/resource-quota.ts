import { resourceQuotas } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const resourceQuotaKind = defineKind(resourceQuotas, { hasStatus: true });
