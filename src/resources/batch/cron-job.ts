import { cronJobs } from '#kube/refs.ts';
import { templateDefaults } from '../core/pod-defaults.ts';
import { inPodNames, nameWarnings } from '../core/pod-warnings.ts';
import { defineKind } from '../define.ts';
import {
  ageColumn,
  ageOf,
  boolText,
  column,
  containerCells,
  containerColumns,
  formatSelector,
  nameColumn,
  orNone,
  selectorColumn,
  since,
} from '../print.ts';
import { validateCronJob, validateCronJobUpdate } from './cron-job-validation.ts';
import { jobWarnings } from './job-warnings.ts';

export const cronJobKind = defineKind(cronJobs, {
  warnings: (object, old) => [
    ...(old === undefined ? nameWarnings(object, inPodNames) : []),
    ...jobWarnings('spec.jobTemplate.spec', object.spec?.jobTemplate.spec),
  ],
  validate: validateCronJob,
  validateUpdate: validateCronJobUpdate,
  hasStatus: true,
  generation: 'spec',
  defaults: (object) => {
    const { spec } = object;
    if (spec === undefined) return;
    spec.concurrencyPolicy ||= 'Allow';
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
    const job = spec.jobTemplate.spec;
    templateDefaults(job?.template);
    for (const rule of job?.podFailurePolicy?.rules ?? []) for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
  },
  table: {
    columns: [
      nameColumn,
      column('Schedule', 'When jobs are made, in cron format.'),
      column('Timezone', 'The time zone of the schedule.'),
      column('Suspend', 'Whether no further jobs are made.', 'boolean'),
      column('Active', 'The number of running jobs.', 'integer'),
      column('Last Schedule', 'Time since a job was last made.'),
      ageColumn,
      ...containerColumns,
      selectorColumn,
    ],
    cells: (object, now) => {
      const { spec, status } = object;
      return [
        object.metadata.name ?? '',
        spec?.schedule ?? '',
        orNone(spec?.timeZone),
        boolText(spec?.suspend),
        status?.active?.length ?? 0,
        status?.lastScheduleTime === undefined ? '<none>' : since(status.lastScheduleTime, now),
        ageOf(object, now),
        ...containerCells(spec?.jobTemplate.spec?.template.spec?.containers),
        formatSelector(spec?.jobTemplate.spec?.selector),
      ];
    },
  },
});
