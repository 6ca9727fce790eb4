import { storageClasses } from '#kube/refs.ts';
import { deprecationOf } from '../core/pod-warnings.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateStorageClass, validateStorageClassUpdate } from './validation.ts';

const defaultAnnotations = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class'];

export const storageClassKind = defineKind(storageClasses, {
  returnsDeleted: true,
  warnings: (object) =>
    (object.allowedTopologies ?? []).flatMap(({ matchLabelExpressions = [] }, i) =>
      matchLabelExpressions.flatMap(({ key }, j) => {
        const deprecation = deprecationOf(key);
        return deprecation === undefined ? [] : [`allowedTopologies[${i}].matchLabelExpressions[${j}].key: ${deprecation}`];
      }),
    ),
  validate: validateStorageClass,
  validateUpdate: validateStorageClassUpdate,
  defaults: (object) => {
    object.reclaimPolicy ??= 'Delete';
    object.volumeBindingMode ??= 'Immediate';
  },
  table: {
    columns: [
      nameColumn,
      column('Provisioner', 'What makes the volumes.'),
      column('ReclaimPolicy', 'What happens to a volume when its claim is gone.'),
      column('VolumeBindingMode', 'When volumes are made and bound.'),
      column('AllowVolumeExpansion', 'Whether claims may be made larger.'),
      ageColumn,
    ],
    cells: (object, now) => {
      const isDefault = defaultAnnotations.some((key) => object.metadata.annotations?.[key] === 'true');
      return [
        isDefault ? `${object.metadata.name} (default)` : (object.metadata.name ?? ''),
        object.provisioner,
        object.reclaimPolicy ?? 'Delete',
        object.volumeBindingMode ?? '<unset>',
        object.allowVolumeExpansion ?? false,
        ageOf(object, now),
      ];
    },
  },
});
