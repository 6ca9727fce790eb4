import { deviceClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, nameColumn } from '../print.ts';

export const deviceClassKind = defineKind(deviceClasses, {
  generation: 'spec',
  table: { columns: [nameColumn, ageColumn], cells: (object, now) => [object.metadata.name ?? '', ageOf(object, now)] },
});
