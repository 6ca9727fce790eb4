import { csiStorageCapacities } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { column, nameColumn } from '../print.ts';
import { validateCsiStorageCapacity, validateCsiStorageCapacityUpdate } from './validation.ts';

export const csiStorageCapacityKind = defineKind(csiStorageCapacities, {
  returnsDeleted: true,
  validate: validateCsiStorageCapacity,
  validateUpdate: validateCsiStorageCapacityUpdate,
  unconditionalUpdate: false,
  table: {
    columns: [nameColumn, column('StorageClassName', 'The class that the capacity is for.'), column('Capacity', 'What is left.')],
    cells: (object) => [
      object.metadata.name ?? '',
      object.storageClassName,
      object.capacity === undefined ? '<unset>' : String(object.capacity),
    ],
  },
});
