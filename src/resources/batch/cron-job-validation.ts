/** CronJobs: pkg/apis/batch/validation. */
import type { CronJob } from '#kube/generated/batch-v1.ts';
import { maxLengthError } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { nonNegative, oneOf } from '#kube/validation/values.ts';
import { cronProblem } from './cron-syntax.ts';
import { jobSpec } from './job-validation.ts';

/** Names of a CronJob's jobs get eleven characters appended. */
const maxName = 52;

const zonePart = /^[A-Za-z.\-_0-9+]{1,14}$/;

const isZone = (name: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
};

function timeZone(field: string, name: string): FieldError[] {
  if (name === '') return [fieldInvalid(field, name, 'timeZone must be nil or non-empty string')];
  const unknown = fieldInvalid(field, name, `unknown time zone ${name}`);
  if (name.split('/').some((part) => part === '.' || part === '..' || part.startsWith('-') || !zonePart.test(part))) return [unknown];
  if (name.toLowerCase() === 'local') {
    const rule = 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones';
    return [fieldInvalid(field, name, rule), ...(name === 'Local' ? [] : [unknown])];
  }
  return isZone(name) ? [] : [unknown];
}

/** `zoneAllowed`: the schedule had a time zone of its own before the field was there. */
function scheduleErrors(field: string, schedule: string, zone: string | undefined, zoneAllowed: boolean): FieldError[] {
  if (schedule === '') return [fieldRequired(field)];
  const problem = cronProblem(schedule);
  const errors = problem === undefined ? [] : [fieldInvalid(field, schedule, problem)];
  if (!schedule.includes('TZ')) return errors;
  if (!zoneAllowed) errors.push(fieldInvalid(field, schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'));
  else if (zone !== undefined) errors.push(fieldInvalid(field, schedule, 'cannot use both timeZone field and TZ or CRON_TZ in schedule'));
  return errors;
}

function cronJobSpec(object: CronJob, old: CronJob | undefined): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors = scheduleErrors('spec.schedule', spec.schedule, spec.timeZone, old?.spec?.schedule.includes('TZ') === true);
  errors.push(...nonNegative('spec.startingDeadlineSeconds', spec.startingDeadlineSeconds));
  if (spec.timeZone !== undefined && spec.timeZone !== old?.spec?.timeZone) errors.push(...timeZone('spec.timeZone', spec.timeZone));
  const job = spec.jobTemplate.spec ?? { template: { spec: { containers: [] } } };
  const at = 'spec.jobTemplate.spec';
  errors.push(...oneOf('spec.concurrencyPolicy', spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace']), ...jobSpec(at, job));
  if (job.selector !== undefined) errors.push(fieldInvalid(`${at}.selector`, job.selector, '`selector` will be auto-generated'));
  if (job.manualSelector === true) errors.push(fieldNotSupported(`${at}.manualSelector`, true, ['nil', 'false']));
  return [
    ...errors,
    ...nonNegative('spec.successfulJobsHistoryLimit', spec.successfulJobsHistoryLimit),
    ...nonNegative('spec.failedJobsHistoryLimit', spec.failedJobsHistoryLimit),
  ];
}

export function validateCronJob(object: CronJob): FieldError[] {
  const { name = '' } = object.metadata;
  return [
    ...cronJobSpec(object, undefined),
    ...(name.length > maxName ? [fieldInvalid('metadata.name', name, maxLengthError(maxName))] : []),
  ];
}

/** Those whose name was too long before that was refused may still be changed. */
export const validateCronJobUpdate = (object: CronJob, old: CronJob): FieldError[] => cronJobSpec(object, old);
