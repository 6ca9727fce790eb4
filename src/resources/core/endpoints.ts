import { endpoints } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const endpointsKind = defineKind(endpoints, { createOnUpdate: true });
