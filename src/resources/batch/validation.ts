/** Jobs and CronJobs: pkg/apis/batch/validation. */
import { isDeepStrictEqual } from 'node:util';
import type { CronJob, Job, JobSpec, PodFailurePolicy } from '#kube/generated/batch-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotSupported, fieldRequired, fieldTooMany } from '#kube/validation/field-error.ts';
import { labelSelector, selects } from '#kube/validation/label-selector.ts';
import { immutable, nonNegative, oneOf, optionalOneOf } from '#kube/validation/values.ts';
import { podTemplate } from '../core/pod-validation/pod.ts';
import { cronProblem } from './cron-syntax.ts';

function failurePolicy(field: string, policy: PodFailurePolicy): FieldError[] {
  const rules = policy.rules;
  if (rules.length > 20) return [fieldTooMany(`${field}.rules`, rules.length, 20)];
  return rules.flatMap((rule, i) => {
    const at = `${field}.rules[${i}]`;
    const errors = oneOf(`${at}.action`, rule.action, ['Count', 'FailIndex', 'FailJob', 'Ignore']);
    const codes = rule.onExitCodes;
    const conditions = rule.onPodConditions ?? [];
    if (codes !== undefined && conditions.length > 0) {
      errors.push(
        fieldInvalid(at, 'both OnExitCodes and OnPodConditions', 'specifying both OnExitCodes and OnPodConditions is not supported'),
      );
    }
    if (codes === undefined && conditions.length === 0) {
      errors.push(fieldInvalid(at, 'specifying one of OnExitCodes and OnPodConditions is required', ''));
    }
    if (codes !== undefined) {
      errors.push(...oneOf(`${at}.onExitCodes.operator`, codes.operator, ['In', 'NotIn']));
      if (codes.values.length === 0) errors.push(fieldInvalid(`${at}.onExitCodes.values`, codes.values, 'at least one value is required'));
      if (codes.operator === 'In' && codes.values.includes(0)) {
        errors.push(fieldInvalid(`${at}.onExitCodes.values[${codes.values.indexOf(0)}]`, 0, 'must not be 0 for the In operator'));
      }
    }
    for (const [j, condition] of conditions.entries()) {
      errors.push(...oneOf(`${at}.onPodConditions[${j}].status`, condition.status, ['False', 'True', 'Unknown']));
    }
    return errors;
  });
}

const quoted = 'valid values: "OnFailure", "Never"';
const indexedLimit = 100_000;

function jobSpec(field: string, spec: JobSpec): FieldError[] {
  const errors: FieldError[] = [];
  for (const part of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  ] as const) {
    errors.push(...nonNegative(`${field}.${part}`, spec[part]));
  }
  errors.push(...optionalOneOf(`${field}.completionMode`, spec.completionMode, ['Indexed', 'NonIndexed']));
  if (spec.completionMode === 'Indexed') {
    if (spec.completions === undefined) errors.push(fieldRequired(`${field}.completions`, 'when completion mode is Indexed'));
    if ((spec.parallelism ?? 0) > indexedLimit) {
      const rule = `must be less than or equal to ${indexedLimit} when completion mode is Indexed`;
      errors.push(fieldInvalid(`${field}.parallelism`, spec.parallelism, rule));
    }
  } else {
    if (spec.backoffLimitPerIndex !== undefined) {
      errors.push(fieldInvalid(`${field}.backoffLimitPerIndex`, spec.backoffLimitPerIndex, 'requires indexed completion mode'));
    }
    if (spec.maxFailedIndexes !== undefined) {
      errors.push(fieldInvalid(`${field}.maxFailedIndexes`, spec.maxFailedIndexes, 'requires indexed completion mode'));
    }
  }
  errors.push(...optionalOneOf(`${field}.podReplacementPolicy`, spec.podReplacementPolicy, ['Failed', 'TerminatingOrFailed']));
  errors.push(...podTemplate(`${field}.template`, spec.template));
  const at = `${field}.template.spec.restartPolicy`;
  const policy = spec.template.spec?.restartPolicy;
  if (policy === 'Always') errors.push(fieldRequired(at, quoted));
  else if (policy !== 'OnFailure' && policy !== 'Never') errors.push(fieldNotSupported(at, policy ?? '', ['OnFailure', 'Never']));
  if (spec.podFailurePolicy !== undefined) {
    errors.push(...failurePolicy(`${field}.podFailurePolicy`, spec.podFailurePolicy));
    if (policy !== 'Never') errors.push(fieldInvalid(at, policy ?? '', 'only "Never" is supported when podFailurePolicy is specified'));
  }
  return errors;
}

export function validateJob(object: Job): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors = jobSpec('spec', spec);
  if (spec.selector === undefined) errors.push(fieldRequired('spec.selector'));
  else {
    errors.push(...labelSelector('spec.selector', spec.selector));
    const labels = spec.template.metadata?.labels;
    if (!selects(spec.selector, labels)) {
      errors.push(fieldInvalid('spec.template.metadata.labels', labels ?? {}, '`selector` does not match template `labels`'));
    }
  }
  return errors;
}

/** True where an indexed job is made longer or shorter: completions and parallelism change together. */
const elastic = (spec: JobSpec, old: JobSpec): boolean =>
  old.completionMode === 'Indexed' && spec.completions !== undefined && spec.completions === spec.parallelism;

export function validateJobUpdate(object: Job, old: Job): FieldError[] {
  const [spec, before] = [object.spec, old.spec];
  const errors = validateJob(object);
  if (spec === undefined || before === undefined) return errors;
  if (!elastic(spec, before)) errors.push(...immutable('spec.completions', spec.completions, before.completions));
  errors.push(...immutable('spec.selector', spec.selector, before.selector));
  const scheduling = ['nodeSelector', 'affinity', 'tolerations', 'schedulingGates', 'schedulerName'];
  const suspended = before.suspend === true && old.status?.startTime === undefined;
  const template = (t: JobSpec['template']): unknown =>
    suspended
      ? {
          labels: undefined,
          spec: Object.fromEntries(Object.entries(t.spec ?? {}).filter(([part]) => !scheduling.includes(part))),
        }
      : t;
  if (!isDeepStrictEqual(template(spec.template), template(before.template))) {
    errors.push(fieldInvalid('spec.template', spec.template, 'field is immutable'));
  }
  for (const part of ['completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy'] as const) {
    errors.push(...immutable(`spec.${part}`, spec[part], before[part]));
  }
  return errors;
}

/** Names of a CronJob's jobs get eleven characters appended. */
const maxCronJobName = 52;

function timeZone(field: string, name: string): FieldError[] {
  if (name === '') return [fieldInvalid(field, name, 'timeZone must be nil or non-empty string')];
  if (name.toLowerCase() === 'local')
    return [fieldInvalid(field, name, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones')];
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return [];
  } catch {
    return [fieldInvalid(field, name, `unknown time zone ${name}`)];
  }
}

export function validateCronJob(object: CronJob): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors: FieldError[] = [];
  if (spec.schedule === '') errors.push(fieldRequired('spec.schedule'));
  else if (/^(?:CRON_)?TZ=/.test(spec.schedule)) {
    errors.push(fieldInvalid('spec.schedule', spec.schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'));
  } else {
    const problem = cronProblem(spec.schedule);
    if (problem !== undefined) errors.push(fieldInvalid('spec.schedule', spec.schedule, problem));
  }
  errors.push(...nonNegative('spec.startingDeadlineSeconds', spec.startingDeadlineSeconds));
  if (spec.timeZone !== undefined) errors.push(...timeZone('spec.timeZone', spec.timeZone));
  errors.push(
    ...oneOf('spec.concurrencyPolicy', spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace']),
    ...jobSpec('spec.jobTemplate.spec', spec.jobTemplate.spec ?? { template: { spec: { containers: [] } } }),
    ...nonNegative('spec.successfulJobsHistoryLimit', spec.successfulJobsHistoryLimit),
    ...nonNegative('spec.failedJobsHistoryLimit', spec.failedJobsHistoryLimit),
  );
  if ((object.metadata.name ?? '').length > maxCronJobName) {
    errors.push(fieldInvalid('metadata.name', object.metadata.name, 'must be no more than 52 characters'));
  }
  return errors;
}
