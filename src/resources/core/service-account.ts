import { serviceAccounts } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const serviceAccountKind = defineKind(serviceAccounts, { subresources: ['token'] });
