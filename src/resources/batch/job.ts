import { jobs } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const jobKind = defineKind(jobs, { hasStatus: true, generation: 'spec', defaultPropagation: 'Orphan' });
