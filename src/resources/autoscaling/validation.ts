import type { HorizontalPodAutoscaler, HPAScalingRules, MetricSpec } from '#kube/generated/autoscaling-v2.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';

const pathProblems = (name: string): string[] => ['/', '%'].filter((c) => name.includes(c)).map((c) => `may not contain '${c}'`);

function metric(field: string, m: MetricSpec): FieldError[] {
  const kinds = {
    Object: 'object',
    Pods: 'pods',
    Resource: 'resource',
    ContainerResource: 'containerResource',
    External: 'external',
  } as const;
  if (m.type === '') return [fieldRequired(`${field}.type`, 'must specify a metric source type')];
  const part = Object.hasOwn(kinds, m.type) ? kinds[m.type as keyof typeof kinds] : undefined;
  if (part === undefined) return [fieldNotSupported(`${field}.type`, m.type, Object.keys(kinds).sort())];
  const errors: FieldError[] = [];
  for (const other of Object.values(kinds)) {
    if (other !== part && m[other] !== undefined) {
      errors.push(fieldForbidden(`${field}.${other}`, `must populate the given metric source only`));
    }
  }
  const source = m[part];
  if (source === undefined) return [...errors, fieldRequired(`${field}.${part}`, 'must populate information for the given metric source')];
  const { target } = source;
  const at = `${field}.${part}.target`;
  if (target.type === '') errors.push(fieldRequired(`${at}.type`, 'must specify a metric target type'));
  if (target.averageUtilization !== undefined && target.averageUtilization < 1) {
    errors.push(fieldInvalid(`${at}.averageUtilization`, target.averageUtilization, 'must be greater than 0'));
  }
  if (
    (part === 'resource' || part === 'containerResource') &&
    target.averageUtilization === undefined &&
    target.averageValue === undefined
  ) {
    errors.push(fieldRequired(`${at}.averageUtilization`, 'must set either a target raw value or a target utilization'));
  }
  return errors;
}

function scalingRules(field: string, rules: HPAScalingRules | undefined): FieldError[] {
  if (rules === undefined) return [];
  const errors: FieldError[] = [];
  const window = rules.stabilizationWindowSeconds;
  if (window !== undefined && window < 0)
    errors.push(fieldInvalid(`${field}.stabilizationWindowSeconds`, window, 'must be greater than or equal to zero'));
  if (window !== undefined && window > 3600)
    errors.push(fieldInvalid(`${field}.stabilizationWindowSeconds`, window, 'must be less than or equal to 3600'));
  if ((rules.policies ?? []).length === 0) errors.push(fieldRequired(`${field}.policies`, 'must specify at least one Policy'));
  for (const [i, policy] of (rules.policies ?? []).entries()) {
    const at = `${field}.policies[${i}]`;
    if (!['Pods', 'Percent'].includes(policy.type)) errors.push(fieldNotSupported(`${at}.type`, policy.type, ['Percent', 'Pods']));
    if (policy.value <= 0) errors.push(fieldInvalid(`${at}.value`, policy.value, 'must be greater than zero'));
    if (policy.periodSeconds <= 0) errors.push(fieldInvalid(`${at}.periodSeconds`, policy.periodSeconds, 'must be greater than zero'));
    if (policy.periodSeconds > 1800)
      errors.push(fieldInvalid(`${at}.periodSeconds`, policy.periodSeconds, 'must be less than or equal to 1800'));
  }
  return errors;
}

/** Both versions: `spec` as autoscaling/v2 has it. */
export function validateHpa(object: HorizontalPodAutoscaler): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors: FieldError[] = [];
  const { minReplicas, maxReplicas, scaleTargetRef: target } = spec;
  if (minReplicas !== undefined && minReplicas < 1)
    errors.push(fieldInvalid('spec.minReplicas', minReplicas, 'must be greater than or equal to 1'));
  if (maxReplicas < 1) errors.push(fieldInvalid('spec.maxReplicas', maxReplicas, 'must be greater than 0'));
  if (minReplicas !== undefined && maxReplicas < minReplicas) {
    errors.push(fieldInvalid('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'));
  }
  for (const part of ['kind', 'name'] as const) {
    if (target[part] === '') errors.push(fieldRequired(`spec.scaleTargetRef.${part}`));
    else errors.push(...fieldProblems(`spec.scaleTargetRef.${part}`, target[part], pathProblems(target[part])));
  }
  for (const [i, m] of (spec.metrics ?? []).entries()) errors.push(...metric(`spec.metrics[${i}]`, m));
  errors.push(
    ...scalingRules('spec.behavior.scaleUp', spec.behavior?.scaleUp),
    ...scalingRules('spec.behavior.scaleDown', spec.behavior?.scaleDown),
  );
  return errors;
}
