import { statefulSets } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const statefulSetKind = defineKind(statefulSets, { hasStatus: true, generation: 'spec' });
