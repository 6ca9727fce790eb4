import { replicaSets } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const replicaSetKind = defineKind(replicaSets, { hasStatus: true, generation: 'spec' });
