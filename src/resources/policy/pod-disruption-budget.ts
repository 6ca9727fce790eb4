import { podDisruptionBudgets } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const podDisruptionBudgetKind = defineKind(podDisruptionBudgets, {
  hasStatus: true,
  generation: 'spec',
  unconditionalUpdate: false,
});
