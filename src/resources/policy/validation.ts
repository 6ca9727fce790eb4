import type { PodDisruptionBudget } from '#kube/generated/policy-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { conditions } from '#kube/validation/conditions.ts';
import { statusCounts } from '#kube/validation/counts.ts';
import { fieldInvalid } from '#kube/validation/field-error.ts';
import { labelSelector } from '#kube/validation/label-selector.ts';
import { nonNegativeIntOrPercent, notMoreThan100Percent, optionalOneOf } from '#kube/validation/values.ts';

export function validatePodDisruptionBudget(object: PodDisruptionBudget): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [];
  const errors: FieldError[] = [];
  if (spec.minAvailable !== undefined && spec.maxUnavailable !== undefined) {
    errors.push(fieldInvalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
  }
  for (const part of ['minAvailable', 'maxUnavailable'] as const) {
    const value = spec[part];
    if (value !== undefined)
      errors.push(...nonNegativeIntOrPercent(`spec.${part}`, value), ...notMoreThan100Percent(`spec.${part}`, value));
  }
  return [
    ...errors,
    ...labelSelector('spec.selector', spec.selector),
    ...optionalOneOf('spec.unhealthyPodEvictionPolicy', spec.unhealthyPodEvictionPolicy, ['AlwaysAllow', 'IfHealthyBudget']),
  ];
}

export const validatePodDisruptionBudgetStatus = ({ status }: PodDisruptionBudget): FieldError[] => [
  ...conditions('status.conditions', status?.conditions),
  ...statusCounts(status, { counts: ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'], within: [] }),
];
