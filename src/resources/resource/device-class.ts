import { deviceClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, nameColumn } from '../print.ts';
import { validateDeviceClass } from './claim-validation.ts';

export const deviceClassKind = defineKind(deviceClasses, {
  validate: validateDeviceClass,
  generation: 'spec',
  table: { columns: [nameColumn, ageColumn], cells: (object, now) => [object.metadata.name ?? '', ageOf(object, now)] },
});
