import { runtimeClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { runtimeClassWarnings, validateRuntimeClass, validateRuntimeClassUpdate } from './validation.ts';

export const runtimeClassKind = defineKind(runtimeClasses, {
  warnings: runtimeClassWarnings,
  validate: validateRuntimeClass,
  validateUpdate: validateRuntimeClassUpdate,
  unconditionalUpdate: false,
  table: {
    columns: [nameColumn, column('Handler', 'The configuration of the container runtime.'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', object.handler, ageOf(object, now)],
  },
});
