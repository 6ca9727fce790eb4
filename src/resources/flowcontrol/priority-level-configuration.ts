import { priorityLevelConfigurations } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validatePriorityLevel, validatePriorityLevelStatus } from './validation.ts';

const orNoneNumber = (value: number | undefined): number | string => value ?? '<none>';

export const priorityLevelConfigurationKind = defineKind(priorityLevelConfigurations, {
  validate: validatePriorityLevel,
  validateStatusUpdate: validatePriorityLevelStatus,
  hasStatus: true,
  statusKeepsMetadata: 'all',
  generation: 'spec',
  defaults: (object) => {
    const { spec } = object;
    if (spec?.type === 'Exempt') {
      spec.exempt ??= {};
      spec.exempt.nominalConcurrencyShares ??= 0;
      spec.exempt.lendablePercent ??= 0;
    }
    if (spec?.limited === undefined) return;
    spec.limited.nominalConcurrencyShares ??= 30;
    spec.limited.lendablePercent ??= 0;
    const queuing = spec.limited.limitResponse?.queuing;
    if (queuing === undefined) return;
    queuing.handSize ||= 8;
    queuing.queues ||= 64;
    queuing.queueLengthLimit ||= 50;
  },
  table: {
    columns: [
      nameColumn,
      column('Type', 'Whether requests are limited.'),
      column('NominalConcurrencyShares', 'The share of the concurrency.', 'string'),
      column('Queues', 'The number of queues.'),
      column('HandSize', 'How many queues a flow is dealt.'),
      column('QueueLengthLimit', 'How many requests may wait in a queue.'),
      ageColumn,
    ],
    cells: (object, now) => {
      const { spec } = object;
      const queuing = spec?.limited?.limitResponse?.queuing;
      return [
        object.metadata.name ?? '',
        spec?.type ?? '',
        orNoneNumber(spec?.limited?.nominalConcurrencyShares ?? spec?.exempt?.nominalConcurrencyShares),
        orNoneNumber(queuing?.queues),
        orNoneNumber(queuing?.handSize),
        orNoneNumber(queuing?.queueLengthLimit),
        ageOf(object, now),
      ];
    },
  },
});
