import { limitRanges } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const limitRangeKind = defineKind(limitRanges, { createOnUpdate: true });
