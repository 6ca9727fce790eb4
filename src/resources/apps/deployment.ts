import { deployments } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const deploymentKind = defineKind(deployments, { hasStatus: true, generation: 'spec' });
