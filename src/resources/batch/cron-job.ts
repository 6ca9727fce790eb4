import { cronJobs } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const cronJobKind = defineKind(cronJobs, { hasStatus: true, generation: 'spec' });
