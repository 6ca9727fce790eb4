import { podDisruptionBudgets } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validatePodDisruptionBudget, validatePodDisruptionBudgetStatus } from './validation.ts';

const orNA = (value: number | string | undefined): string => (value === undefined ? 'N/A' : String(value));

export const podDisruptionBudgetKind = defineKind(podDisruptionBudgets, {
  validate: validatePodDisruptionBudget,
  validateStatusUpdate: validatePodDisruptionBudgetStatus,
  hasStatus: true,
  generation: 'spec',
  unconditionalUpdate: false,
  table: {
    columns: [
      nameColumn,
      column('Min Available', 'The minimum number of pods that must be available.'),
      column('Max Unavailable', 'The maximum number of pods that may be unavailable.'),
      column('Allowed Disruptions', 'How many pods may be evicted now.', 'integer'),
      ageColumn,
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      orNA(object.spec?.minAvailable),
      orNA(object.spec?.maxUnavailable),
      object.status?.disruptionsAllowed ?? 0,
      ageOf(object, now),
    ],
  },
});
