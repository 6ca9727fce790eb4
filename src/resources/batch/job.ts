import type { Job, JobSpec } from '#kube/generated/batch-v1.ts';
import { jobs } from '#kube/refs.ts';
import { templateDefaults } from '../core/pod-defaults.ts';
import { inPodNames, nameWarnings } from '../core/pod-warnings.ts';
import { defineKind, type Mutable } from '../define.ts';
import {
  ageColumn,
  ageOf,
  column,
  containerCells,
  containerColumns,
  formatSelector,
  humanDuration,
  nameColumn,
  selectorColumn,
} from '../print.ts';
import { validateJobStatusUpdate } from './job-status-validation.ts';
import { validateJob, validateJobUpdate } from './job-validation.ts';
import { jobWarnings } from './job-warnings.ts';

const maxInt32 = 2 ** 31 - 1;

function jobSpecDefaults(spec: Mutable<JobSpec>): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : maxInt32;
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  spec.manualSelector ??= false;
  for (const rule of spec.podFailurePolicy?.rules ?? []) for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
  spec.podReplacementPolicy ??= spec.podFailurePolicy === undefined ? 'TerminatingOrFailed' : 'Failed';
}

/**
 * Pods of a job carry its uid and name, and its selector asks for the uid: generateSelector of upstream's job strategy. What
 * a client has set stays; validation refuses what does not fit.
 */
function generateSelector(job: Mutable<Job>): void {
  const { spec, metadata } = job;
  if (spec === undefined || spec.manualSelector === true) return;
  const { uid = '', name = '' } = metadata;
  const template = spec.template.metadata ?? {};
  spec.template.metadata = template;
  const generated = {
    'job-name': name,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'batch.kubernetes.io/controller-uid': uid,
  };
  template.labels = { ...generated, ...template.labels };
  spec.selector ??= {};
  spec.selector.matchLabels = { 'batch.kubernetes.io/controller-uid': uid, ...spec.selector.matchLabels };
}

function statusText(job: Job): string {
  const has = (type: string): boolean => job.status?.conditions?.some((c) => c.type === type && c.status === 'True') === true;
  if (has('Complete')) return 'Complete';
  if (has('Failed')) return 'Failed';
  if (job.metadata.deletionTimestamp !== undefined) return 'Terminating';
  return ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find(has) ?? 'Running';
}

function completions(job: Job): string {
  const succeeded = job.status?.succeeded ?? 0;
  if (job.spec?.completions !== undefined) return `${succeeded}/${job.spec.completions}`;
  const parallelism = job.spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function duration(job: Job, now: Date): string {
  const { startTime, completionTime } = job.status ?? {};
  if (startTime === undefined) return '';
  const end = completionTime === undefined ? now.getTime() : Date.parse(completionTime);
  return humanDuration(end - Date.parse(startTime));
}

export const jobKind = defineKind(jobs, {
  warnings: (object, old) => [...(old === undefined ? nameWarnings(object, inPodNames) : []), ...jobWarnings('spec', object.spec)],
  validate: validateJob,
  validateUpdate: validateJobUpdate,
  validateStatusUpdate: validateJobStatusUpdate,
  hasStatus: true,
  generation: 'spec',
  defaultPropagation: 'Orphan',
  defaults: (object) => {
    if (object.spec === undefined) return;
    const labels = object.spec.template.metadata?.labels;
    if (labels !== undefined && Object.keys(object.metadata.labels ?? {}).length === 0) object.metadata.labels = { ...labels };
    jobSpecDefaults(object.spec);
    templateDefaults(object.spec.template);
  },
  prepareForCreate: generateSelector,
  selectableFields: { 'status.successful': (object) => String(object.status?.succeeded ?? 0) },
  table: {
    columns: [
      nameColumn,
      column('Status', 'Status of the job.'),
      column('Completions', 'How many pods have succeeded, of how many.'),
      column('Duration', 'Time required to complete the job.'),
      ageColumn,
      ...containerColumns,
      selectorColumn,
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      statusText(object),
      completions(object),
      duration(object, now),
      ageOf(object, now),
      ...containerCells(object.spec?.template.spec?.containers),
      formatSelector(object.spec?.selector),
    ],
  },
});
