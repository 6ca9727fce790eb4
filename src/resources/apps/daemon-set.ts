import { daemonSets } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const daemonSetKind = defineKind(daemonSets, { hasStatus: true, generation: 'spec' });
