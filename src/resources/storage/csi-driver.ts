import { csiDrivers } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn, orNone, orUnset } from '../print.ts';
import { validateCsiDriver, validateCsiDriverUpdate } from './validation.ts';

export const csiDriverKind = defineKind(csiDrivers, {
  returnsDeleted: true,
  validate: validateCsiDriver,
  validateUpdate: validateCsiDriverUpdate,
  generation: 'spec',
  unconditionalUpdate: false,
  defaults: (object) => {
    const { spec } = object;
    if (spec === undefined) return;
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
    if ((spec.volumeLifecycleModes ?? []).length === 0) spec.volumeLifecycleModes = ['Persistent'];
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
  },
  table: {
    columns: [
      nameColumn,
      column('AttachRequired', 'Whether volumes are attached before use.', 'boolean'),
      column('PodInfoOnMount', 'Whether the driver is told which pod it mounts for.', 'boolean'),
      column('StorageCapacity', 'Whether the scheduler considers reported capacity.', 'boolean'),
      column('TokenRequests', 'Audiences of the tokens that the driver gets.'),
      column('RequiresRepublish', 'Whether the driver wants to be called again.', 'boolean'),
      column('Modes', 'What kinds of volumes the driver makes.'),
      ageColumn,
    ],
    cells: (object, now) => {
      const { spec } = object;
      return [
        object.metadata.name ?? '',
        spec?.attachRequired ?? true,
        spec?.podInfoOnMount ?? false,
        spec?.storageCapacity ?? false,
        orUnset((spec?.tokenRequests ?? []).map((t) => t.audience).join(',')),
        spec?.requiresRepublish ?? false,
        orNone((spec?.volumeLifecycleModes ?? []).join(',')),
        ageOf(object, now),
      ];
    },
  },
});
