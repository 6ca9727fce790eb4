import type { FlowSchema, PriorityLevelConfiguration } from '#kube/generated/flowcontrol-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { dnsSubdomain, nonNegative, oneOf, rangeText } from '#kube/validation/values.ts';

export function validateFlowSchema(object: FlowSchema): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors: FieldError[] = [];
  const precedence = spec.matchingPrecedence ?? 0;
  if (precedence <= 0) errors.push(fieldInvalid('spec.matchingPrecedence', precedence, 'must be a positive value'));
  if (precedence > 10000) errors.push(fieldInvalid('spec.matchingPrecedence', precedence, 'must not be greater than 10000'));
  if (precedence === 1 && object.metadata.name !== 'exempt') {
    errors.push(fieldInvalid('spec.matchingPrecedence', precedence, "only the schema named 'exempt' may have matchingPrecedence 1"));
  }
  if (spec.distinguisherMethod !== undefined) {
    errors.push(...oneOf('spec.distinguisherMethod.type', spec.distinguisherMethod.type, ['ByNamespace', 'ByUser']));
  }
  const level = spec.priorityLevelConfiguration.name;
  if (level === '') errors.push(fieldRequired('spec.priorityLevelConfiguration.name', 'must reference a priority level'));
  else errors.push(...dnsSubdomain('spec.priorityLevelConfiguration.name', level));
  for (const [i, rule] of (spec.rules ?? []).entries()) {
    if (rule.subjects.length === 0) errors.push(fieldRequired(`spec.rules[${i}].subjects`, 'subjects must contain at least one value'));
    if ((rule.resourceRules ?? []).length + (rule.nonResourceRules ?? []).length === 0) {
      errors.push(fieldRequired(`spec.rules[${i}]`, 'at least one of resourceRules and nonResourceRules has to be non-empty'));
    }
  }
  return errors;
}

export function validatePriorityLevel(object: PriorityLevelConfiguration): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors: FieldError[] = [];
  const percent = (field: string, value: number | undefined): FieldError[] =>
    value !== undefined && (value < 0 || value > 100) ? [fieldInvalid(field, value, rangeText(0, 100))] : [];
  if (spec.type === 'Exempt') {
    if (spec.limited !== undefined) errors.push(fieldForbidden('spec.limited', 'must be nil if the type is not Limited'));
    return [
      ...errors,
      ...nonNegative('spec.exempt.nominalConcurrencyShares', spec.exempt?.nominalConcurrencyShares),
      ...percent('spec.exempt.lendablePercent', spec.exempt?.lendablePercent),
    ];
  }
  if (spec.type !== 'Limited') return [fieldNotSupported('spec.type', spec.type, ['Exempt', 'Limited'])];
  if (spec.exempt !== undefined) errors.push(fieldForbidden('spec.exempt', 'must be nil if the type is Limited'));
  const { limited } = spec;
  if (limited === undefined) return [...errors, fieldRequired('spec.limited', 'must not be empty when type is Limited')];
  errors.push(
    ...nonNegative('spec.limited.nominalConcurrencyShares', limited.nominalConcurrencyShares),
    ...percent('spec.limited.lendablePercent', limited.lendablePercent),
  );
  const response = limited.limitResponse;
  const type = response?.type ?? '';
  if (type !== 'Queue' && type !== 'Reject')
    return [...errors, fieldNotSupported('spec.limited.limitResponse.type', type, ['Queue', 'Reject'])];
  if (type === 'Reject' && response?.queuing !== undefined) {
    errors.push(fieldForbidden('spec.limited.limitResponse.queuing', 'must be nil if limited.limitResponse.type is not Limited'));
  }
  const queuing = response?.queuing;
  if (type === 'Queue' && queuing === undefined) {
    errors.push(fieldRequired('spec.limited.limitResponse.queuing', 'must not be empty if limited.limitResponse.type is Limited'));
  }
  for (const part of ['queues', 'handSize', 'queueLengthLimit'] as const) {
    const value = queuing?.[part];
    if (value !== undefined && value <= 0)
      errors.push(fieldInvalid(`spec.limited.limitResponse.queuing.${part}`, value, 'must be positive'));
  }
  return errors;
}
