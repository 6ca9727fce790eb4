import { volumeAttributesClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateVolumeAttributesClass, validateVolumeAttributesClassUpdate } from './validation.ts';

export const volumeAttributesClassKind = defineKind(volumeAttributesClasses, {
  returnsDeleted: true,
  validate: validateVolumeAttributesClass,
  validateUpdate: validateVolumeAttributesClassUpdate,
  table: {
    columns: [nameColumn, column('DriverName', 'The CSI driver that the class is for.'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', object.driverName, ageOf(object, now)],
  },
});
