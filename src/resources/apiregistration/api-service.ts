import { apiServices } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const apiServiceKind = defineKind(apiServices, { hasStatus: true, unconditionalUpdate: false });
