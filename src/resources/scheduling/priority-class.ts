import { priorityClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validatePriorityClass, validatePriorityClassUpdate } from './validation.ts';

export const priorityClassKind = defineKind(priorityClasses, {
  validate: validatePriorityClass,
  validateUpdate: validatePriorityClassUpdate,
  generation: 'spec',
  defaults: (object) => {
    object.preemptionPolicy ??= 'PreemptLowerPriority';
  },
  table: {
    columns: [
      nameColumn,
      column('Value', 'The priority that pods of the class get.', 'integer'),
      column('Global-Default', 'Whether pods without a class get this one.', 'boolean'),
      ageColumn,
      column('PreemptionPolicy', 'Whether pods of the class may displace others.'),
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      object.value ?? 0,
      object.globalDefault ?? false,
      ageOf(object, now),
      object.preemptionPolicy ?? '',
    ],
  },
});
