import { priorityLevelConfigurations } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const priorityLevelConfigurationKind = defineKind(priorityLevelConfigurations, { hasStatus: true, generation: 'spec' });
