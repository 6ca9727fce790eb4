/** When a job fails and when it has succeeded: policies of pkg/apis/batch/validation. */
import type { JobSpec, PodFailurePolicyRule, SuccessPolicyRule } from '#kube/generated/batch-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import {
  fieldDuplicate,
  fieldInvalid,
  fieldInvalidState,
  fieldNotSupported,
  fieldRequired,
  fieldTooLong,
  fieldTooMany,
} from '#kube/validation/field-error.ts';
import { nonNegative, qualifiedName } from '#kube/validation/values.ts';
import { countIndexes } from './job-indexes.ts';

const limits = { rules: 20, exitCodes: 255, conditions: 20, indexes: 64 * 1024 };
const actions = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const operators = ['In', 'NotIn'];
const statuses = ['False', 'True', 'Unknown'];

/** Go's %q of a list. */
const quoted = (values: readonly string[]): string => `valid values: [${values.map((v) => JSON.stringify(v)).join(' ')}]`;

function chosen(field: string, value: string, supported: readonly string[]): FieldError[] {
  if (value === '') return [fieldRequired(field, quoted(supported))];
  return supported.includes(value) ? [] : [fieldNotSupported(field, value, supported)];
}

type ExitCodes = NonNullable<PodFailurePolicyRule['onExitCodes']>;

function exitCodes(field: string, { operator, containerName, values }: ExitCodes, containers: ReadonlySet<string>): FieldError[] {
  const errors = chosen(`${field}.operator`, operator, operators);
  if (containerName !== undefined && !containers.has(containerName)) {
    errors.push(
      fieldInvalid(`${field}.containerName`, containerName, 'must be one of the container or initContainer names in the pod template'),
    );
  }
  const at = `${field}.values`;
  if (values.length === 0) errors.push(fieldInvalid(at, values, 'at least one value is required'));
  else if (values.length > limits.exitCodes) errors.push(fieldTooMany(at, values.length, limits.exitCodes));
  const seen = new Set<number>();
  for (const [i, value] of values.entries()) {
    if (operator === 'In' && value === 0) errors.push(fieldInvalid(`${at}[${i}]`, value, 'must not be 0 for the In operator'));
    if (seen.has(value)) errors.push(fieldDuplicate(`${at}[${i}]`, value));
    seen.add(value);
  }
  if (values.some((value, i) => i > 0 && (values[i - 1] ?? value) > value)) errors.push(fieldInvalid(at, values, 'must be ordered'));
  return errors;
}

function failureRule(field: string, rule: PodFailurePolicyRule, spec: JobSpec, containers: ReadonlySet<string>): FieldError[] {
  const { action, onExitCodes, onPodConditions = [] } = rule;
  const errors = chosen(`${field}.action`, action, actions);
  if (action === 'FailIndex' && spec.backoffLimitPerIndex === undefined)
    errors.push(fieldInvalid(`${field}.action`, action, 'requires the backoffLimitPerIndex to be set'));
  if (onExitCodes !== undefined) errors.push(...exitCodes(`${field}.onExitCodes`, onExitCodes, containers));
  const at = `${field}.onPodConditions`;
  if (onPodConditions.length > limits.conditions) errors.push(fieldTooMany(at, onPodConditions.length, limits.conditions));
  for (const [i, pattern] of onPodConditions.entries())
    errors.push(...qualifiedName(`${at}[${i}].type`, pattern.type), ...chosen(`${at}[${i}].status`, pattern.status ?? '', statuses));
  if (onExitCodes !== undefined && onPodConditions.length > 0)
    errors.push(fieldInvalidState(field, 'specifying both OnExitCodes and OnPodConditions is not supported'));
  if (onExitCodes === undefined && onPodConditions.length === 0)
    errors.push(fieldInvalidState(field, 'specifying one of OnExitCodes and OnPodConditions is required'));
  return errors;
}

export function failurePolicy(field: string, spec: JobSpec): FieldError[] {
  const rules = spec.podFailurePolicy?.rules ?? [];
  const pod = spec.template.spec;
  const containers = new Set([...(pod?.containers ?? []), ...(pod?.initContainers ?? [])].map((c) => c.name));
  return [
    ...(rules.length > limits.rules ? [fieldTooMany(`${field}.rules`, rules.length, limits.rules)] : []),
    ...rules.flatMap((rule, i) => failureRule(`${field}.rules[${i}]`, rule, spec, containers)),
  ];
}

function successRule(
  field: string,
  { succeededCount: count, succeededIndexes: indexes }: SuccessPolicyRule,
  completions: number,
): FieldError[] {
  const errors: FieldError[] = [];
  if (count === undefined && indexes === undefined)
    errors.push(fieldRequired(field, 'at least one of succeededCount or succeededIndexes must be specified'));
  let total = 0;
  if (indexes !== undefined) {
    const at = `${field}.succeededIndexes`;
    if (indexes.length > limits.indexes) errors.push(fieldTooLong(at, limits.indexes));
    const found = countIndexes(indexes, completions);
    if (typeof found === 'number') total = found;
    else errors.push(fieldInvalid(at, indexes, `error parsing succeededIndexes: ${found}`));
  }
  if (count === undefined) return errors;
  const at = `${field}.succeededCount`;
  const atMost = (limit: number, what: string): string => `must be less than or equal to ${limit} (the number of ${what})`;
  errors.push(...nonNegative(at, count));
  if (count > completions) errors.push(fieldInvalid(at, count, atMost(completions, 'specified completions')));
  if (indexes !== undefined && count > total)
    errors.push(fieldInvalid(at, count, atMost(total, 'indexes in the specified succeededIndexes field')));
  return errors;
}

export function successPolicy(field: string, spec: JobSpec): FieldError[] {
  if (spec.completionMode !== 'Indexed') return [fieldInvalid(field, spec.successPolicy, 'requires indexed completion mode')];
  const rules = spec.successPolicy?.rules ?? [];
  const at = `${field}.rules`;
  const errors: FieldError[] = [];
  if (rules.length === 0) errors.push(fieldRequired(at, 'at least one rules must be specified when the successPolicy is specified'));
  if (rules.length > limits.rules) errors.push(fieldTooMany(at, rules.length, limits.rules));
  // Without completions, which indexed jobs need, upstream's check of the rules would be told of that first.
  const { completions } = spec;
  return completions === undefined ? errors : [...errors, ...rules.flatMap((rule, i) => successRule(`${at}[${i}]`, rule, completions))];
}

/** Pods that are being deleted may be replaced at once, unless a failure policy is to judge them. */
export function replacementPolicy(field: string, spec: JobSpec): FieldError[] {
  const policy = spec.podReplacementPolicy;
  const supported = spec.podFailurePolicy === undefined ? ['Failed', 'TerminatingOrFailed'] : ['Failed'];
  return policy === undefined || supported.includes(policy) ? [] : [fieldNotSupported(field, policy, supported)];
}
