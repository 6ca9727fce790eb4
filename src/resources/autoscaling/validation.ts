/** Horizontal pod autoscalers: pkg/apis/autoscaling/validation. */
import type { HorizontalPodAutoscaler, HPAScalingRules } from '#kube/generated/autoscaling-v2.ts';
import type { FieldError } from '#kube/status-error.ts';
import { statusCounts } from '#kube/validation/counts.ts';
import { fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { nonNegativeQuantity, optionalOneOf } from '#kube/validation/values.ts';
import { metrics, objectReference } from './metric-validation.ts';

const limits = { period: 1800, window: 3600 };

function scalingRules(field: string, rules: HPAScalingRules | undefined): FieldError[] {
  if (rules === undefined) return [];
  const { stabilizationWindowSeconds: window = 0, selectPolicy, policies = [], tolerance } = rules;
  const at = `${field}.stabilizationWindowSeconds`;
  const errors: FieldError[] = [];
  if (window < 0) errors.push(fieldInvalid(at, window, 'must be greater than or equal to zero'));
  if (window > limits.window) errors.push(fieldInvalid(at, window, `must be less than or equal to ${limits.window}`));
  errors.push(...optionalOneOf(`${field}.selectPolicy`, selectPolicy, ['Disabled', 'Max', 'Min']));
  if (policies.length === 0) errors.push(fieldRequired(`${field}.policies`, 'must specify at least one Policy'));
  for (const [i, { type, value, periodSeconds: period }] of policies.entries()) {
    const policy = `${field}.policies[${i}]`;
    if (type !== 'Pods' && type !== 'Percent') errors.push(fieldNotSupported(`${policy}.type`, type, ['Percent', 'Pods']));
    if (value <= 0) errors.push(fieldInvalid(`${policy}.value`, value, 'must be greater than zero'));
    if (period <= 0) errors.push(fieldInvalid(`${policy}.periodSeconds`, period, 'must be greater than zero'));
    if (period > limits.period)
      errors.push(fieldInvalid(`${policy}.periodSeconds`, period, `must be less than or equal to ${limits.period}`));
  }
  if (tolerance !== undefined) errors.push(...nonNegativeQuantity(`${field}.tolerance`, tolerance));
  return errors;
}

function wholeHpa({ spec }: HorizontalPodAutoscaler, fewest: number): FieldError[] {
  if (spec === undefined) return [fieldRequired('spec')];
  const errors: FieldError[] = [];
  const { minReplicas, maxReplicas } = spec;
  if (minReplicas !== undefined && minReplicas < fewest)
    errors.push(fieldInvalid('spec.minReplicas', minReplicas, `must be greater than or equal to ${fewest}`));
  if (maxReplicas < 1) errors.push(fieldInvalid('spec.maxReplicas', maxReplicas, 'must be greater than 0'));
  if (minReplicas !== undefined && maxReplicas < minReplicas)
    errors.push(fieldInvalid('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'));
  return [
    ...errors,
    ...objectReference('spec.scaleTargetRef', spec.scaleTargetRef),
    ...metrics('spec.metrics', spec.metrics, minReplicas),
    ...scalingRules('spec.behavior.scaleUp', spec.behavior?.scaleUp),
    ...scalingRules('spec.behavior.scaleDown', spec.behavior?.scaleDown),
  ];
}

/** Both versions: the object as autoscaling/v2 has it. */
export const validateHpa = (object: HorizontalPodAutoscaler): FieldError[] => wholeHpa(object, 1);

export const validateHpaUpdate = (object: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler): FieldError[] =>
  wholeHpa(object, old.spec?.minReplicas === 0 ? 0 : 1);

export const validateHpaStatus = ({ status }: HorizontalPodAutoscaler): FieldError[] =>
  statusCounts(status, { counts: ['currentReplicas', 'desiredReplicas'], within: [] });
