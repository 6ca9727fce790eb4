/**
 * Status updates of jobs: ValidateJobUpdateStatus of pkg/apis/batch/validation with the options that
 * pkg/registry/batch/job/strategy.go gives it: a rule applies where what it is about has changed.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Job, JobStatus } from '#kube/generated/batch-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldInvalid, fieldInvalidState, fieldRequired } from '#kube/validation/field-error.ts';
import { immutableText, nonNegative } from '#kube/validation/values.ts';
import { commonIndex, countIndexes } from './job-indexes.ts';

const isTrue = (job: Job, type: string): boolean => job.status?.conditions?.some((c) => c.type === type && c.status === 'True') === true;
const isFinished = (job: Job): boolean => isTrue(job, 'Complete') || isTrue(job, 'Failed');
const conditions = 'status.conditions';

/** What has changed between two states of a job. */
function changesOf(job: Job, old: Job) {
  const condition = (type: string): boolean => isTrue(job, type) !== isTrue(old, type);
  const part = (name: keyof JobStatus): boolean => !isDeepStrictEqual(job.status?.[name], old.status?.[name]);
  return { condition, part, finished: isFinished(job) !== isFinished(old) };
}
type Changes = ReturnType<typeof changesOf>;

function counters(status: JobStatus): FieldError[] {
  const errors = (['active', 'succeeded', 'failed', 'ready', 'terminating'] as const).flatMap((part) =>
    nonNegative(`status.${part}`, status[part]),
  );
  const seen = new Set<string>();
  for (const part of ['succeeded', 'failed'] as const)
    for (const [i, uid] of (status.uncountedTerminatedPods?.[part] ?? []).entries()) {
      const at = `status.uncountedTerminatedPods.${part}[${i}]`;
      if (uid === '') errors.push(fieldInvalid(at, uid, 'must not be empty'));
      else if (seen.has(uid)) errors.push(fieldDuplicate(at, uid));
      seen.add(uid);
    }
  return errors;
}

/** Conditions that exclude each other, or need each other. */
function conditionRules(job: Job, { condition, part }: Changes): FieldError[] {
  const [complete, failed, target, met] = ['Complete', 'Failed', 'FailureTarget', 'SuccessCriteriaMet'].map((type) => isTrue(job, type));
  const rules: readonly (readonly [boolean | undefined, string])[] = [
    [(condition('Complete') || condition('Failed')) && complete && failed, 'cannot set Complete=True and Failed=true conditions'],
    [
      (condition('Complete') || condition('FailureTarget')) && complete && target,
      'cannot set Complete=True and FailureTarget=true conditions',
    ],
    [
      (condition('Failed') || part('failedIndexes')) && failed && !target,
      'cannot set Failed=True condition without the FailureTarget=true condition',
    ],
    [
      (condition('Complete') || condition('SuccessCriteriaMet')) && complete && !met,
      'cannot set Complete=True condition without the SuccessCriteriaMet=true condition',
    ],
    [met && failed, 'cannot set SuccessCriteriaMet=True and Failed=true conditions'],
    [met && target, 'cannot set SuccessCriteriaMet=True and FailureTarget=true conditions'],
    [
      job.spec?.successPolicy !== undefined && !met && complete,
      'cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True',
    ],
  ];
  return rules.flatMap(([broken, text]) => (broken === true ? [fieldInvalidState(conditions, text)] : []));
}

const instant = (time: string | undefined): number => (time === undefined ? Number.NaN : Date.parse(time));

function times(job: Job, status: JobStatus, { condition, part, finished }: Changes): FieldError[] {
  const { completionTime, startTime } = status;
  const complete = isTrue(job, 'Complete');
  const field = 'status.completionTime';
  const errors: FieldError[] = [];
  if (condition('Complete') || part('completionTime')) {
    if (completionTime !== undefined && !complete)
      errors.push(fieldInvalid(field, completionTime, 'cannot set completionTime when there is no Complete=True condition'));
    if (completionTime === undefined && complete) errors.push(fieldRequired(field, 'completionTime is required for Complete jobs'));
  }
  if ((part('startTime') || part('completionTime')) && instant(completionTime) < instant(startTime))
    errors.push(fieldInvalid(field, completionTime, 'must be equal to or after `startTime`'));
  const never = job.spec?.suspend === true && job.spec.completions === 0;
  if ((finished || part('startTime')) && !never && startTime === undefined && isFinished(job))
    errors.push(fieldRequired('status.startTime', 'startTime is required for finished job'));
  return errors;
}

/** What a job that has ended has none of. */
function nothingLeft(job: Job, status: JobStatus, { part, finished }: Changes): FieldError[] {
  if (!isFinished(job)) return [];
  const { active = 0, terminating = 0, uncountedTerminatedPods: uncounted } = status;
  const errors: FieldError[] = [];
  if ((finished || part('active')) && active > 0)
    errors.push(fieldInvalid('status.active', active, 'active>0 is invalid for finished job'));
  if ((finished || part('uncountedTerminatedPods')) && (uncounted?.failed ?? []).length + (uncounted?.succeeded ?? []).length > 0)
    errors.push(fieldInvalid('status.uncountedTerminatedPods', uncounted, 'must be empty for finished job'));
  if ((finished || part('terminating')) && terminating > 0)
    errors.push(fieldInvalid('status.terminating', terminating, 'terminating>0 is invalid for finished job'));
  return errors;
}

function indexes(job: Job, status: JobStatus, { part }: Changes): FieldError[] {
  const { completedIndexes = '', failedIndexes } = status;
  const { completions, completionMode, backoffLimitPerIndex } = job.spec ?? {};
  const errors: FieldError[] = [];
  const readable = (name: 'completedIndexes' | 'failedIndexes', text: string): void => {
    const found = countIndexes(text, completions ?? 0);
    if (typeof found === 'string') errors.push(fieldInvalid(`status.${name}`, text, `error parsing ${name}: ${found}`));
  };
  if (part('completedIndexes') && completions !== undefined) readable('completedIndexes', completedIndexes);
  if (part('failedIndexes') && completions !== undefined && backoffLimitPerIndex !== undefined && failedIndexes !== undefined)
    readable('failedIndexes', failedIndexes);
  if (part('completedIndexes') && completedIndexes !== '' && completionMode !== 'Indexed') {
    const text = 'cannot set non-empty completedIndexes when non-indexed completion mode';
    errors.push(fieldInvalid('status.completedIndexes', completedIndexes, text));
  }
  if (part('failedIndexes') && backoffLimitPerIndex === undefined && failedIndexes !== undefined) {
    const text = 'cannot set non-null failedIndexes when backoffLimitPerIndex is null';
    errors.push(fieldInvalid('status.failedIndexes', failedIndexes, text));
  }
  if ((part('failedIndexes') || part('completedIndexes')) && completions !== undefined && failedIndexes !== undefined) {
    const common = commonIndex(completedIndexes, failedIndexes, completions);
    if (common !== undefined)
      errors.push(fieldInvalid('status.failedIndexes', failedIndexes, `failedIndexes and completedIndexes overlap at index: ${common}`));
  }
  return errors;
}

/** What never goes back. */
function transitions(job: Job, old: Job): FieldError[] {
  const [status, before] = [job.status ?? {}, old.status ?? {}];
  const errors: FieldError[] = [];
  for (const type of ['Failed', 'Complete', 'FailureTarget'])
    if (isTrue(old, type) && !isTrue(job, type))
      errors.push(fieldInvalidState(conditions, `cannot disable the terminal ${type}=True condition`));
  const shrinks = (part: 'failed' | 'succeeded'): boolean => (status[part] ?? 0) < (before[part] ?? 0);
  if (shrinks('failed')) errors.push(fieldInvalid('status.failed', status.failed ?? 0, 'cannot decrease the failed counter'));
  const { completionMode, completions, parallelism, suspend } = job.spec ?? {};
  const elastic = completionMode === 'Indexed' && completions === parallelism;
  if (!elastic && shrinks('succeeded'))
    errors.push(fieldInvalid('status.succeeded', status.succeeded ?? 0, 'cannot decrease the succeeded counter'));
  if (status.completionTime !== undefined && before.completionTime !== undefined && status.completionTime !== before.completionTime)
    errors.push(fieldInvalid('status.completionTime', status.completionTime, immutableText));
  if (before.startTime !== undefined && before.startTime !== status.startTime && suspend !== true)
    errors.push(fieldRequired('status.startTime', 'startTime cannot be removed for unsuspended job'));
  if (isTrue(old, 'SuccessCriteriaMet') && !isTrue(job, 'SuccessCriteriaMet'))
    errors.push(fieldInvalidState(conditions, 'cannot disable the SuccessCriteriaMet=True condition'));
  if (isTrue(old, 'Complete') && !isTrue(old, 'SuccessCriteriaMet') && isTrue(job, 'SuccessCriteriaMet'))
    errors.push(fieldInvalidState(conditions, 'cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions'));
  return errors;
}

export function validateJobStatusUpdate(job: Job, old: Job): FieldError[] {
  const status = job.status ?? {};
  const changes = changesOf(job, old);
  const { ready, active = 0 } = status;
  const tooReady = (changes.part('ready') || changes.part('active')) && ready !== undefined && ready > active;
  return [
    ...counters(status),
    ...times(job, status, changes),
    ...nothingLeft(job, status, changes),
    ...indexes(job, status, changes),
    ...(tooReady ? [fieldInvalid('status.ready', ready, 'cannot set more ready pods than active')] : []),
    ...conditionRules(job, changes),
    ...transitions(job, old),
  ];
}
