import { persistentVolumes } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn, orUnset, wideColumn } from '../print.ts';
import { accessModesText } from './access-modes.ts';
import { roundResources } from './pod-defaults.ts';
import { validatePersistentVolume, validatePersistentVolumeUpdate } from './volume-validation.ts';
import { persistentVolumeWarnings } from './volume-warnings.ts';

export const persistentVolumeKind = defineKind(persistentVolumes, {
  returnsDeleted: true,
  warnings: persistentVolumeWarnings,
  validate: validatePersistentVolume,
  validateUpdate: validatePersistentVolumeUpdate,
  hasStatus: true,
  defaults: (object) => {
    object.status ??= {};
    object.status.phase ||= 'Pending';
    if (object.spec === undefined) return;
    object.spec.persistentVolumeReclaimPolicy ||= 'Retain';
    object.spec.volumeMode ??= 'Filesystem';
    if (object.spec.hostPath !== undefined) object.spec.hostPath.type ??= '';
    roundResources(object.spec.capacity);
  },
  prepareForCreate: (object, context) => {
    object.status = { phase: 'Pending', lastPhaseTransitionTime: context.now.toISOString().replace(/\.\d+Z$/, 'Z') };
  },
  prepareForStatusUpdate: (object, old, context) => {
    if (object.status === undefined || object.status.phase === old.status?.phase) return;
    if (object.status.lastPhaseTransitionTime !== old.status?.lastPhaseTransitionTime) return;
    object.status.lastPhaseTransitionTime = context.now.toISOString().replace(/\.\d+Z$/, 'Z');
  },
  selectableFields: { name: (object) => object.metadata.name ?? '' },
  table: {
    columns: [
      nameColumn,
      column('Capacity', 'The size of the volume.'),
      column('Access Modes', 'The ways the volume can be mounted.'),
      column('Reclaim Policy', 'What happens to the volume when it is released from its claim.'),
      column('Status', 'The phase of the volume.'),
      column('Claim', 'The claim that the volume is bound to.'),
      column('StorageClass', 'The storage class of the volume.'),
      column('VolumeAttributesClass', 'The volume attributes class of the volume.'),
      column('Reason', 'Why the volume is in this phase.'),
      ageColumn,
      wideColumn('VolumeMode', 'Whether the volume is a block device or holds a filesystem.'),
    ],
    cells: (object, now) => {
      const { spec, status } = object;
      const claim = spec?.claimRef;
      return [
        object.metadata.name ?? '',
        String(spec?.capacity?.['storage'] ?? 0),
        accessModesText(spec?.accessModes),
        spec?.persistentVolumeReclaimPolicy ?? '',
        object.metadata.deletionTimestamp === undefined ? (status?.phase ?? '') : 'Terminating',
        claim === undefined ? '' : `${claim.namespace ?? ''}/${claim.name ?? ''}`,
        spec?.storageClassName ?? object.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? '',
        orUnset(spec?.volumeAttributesClassName),
        status?.reason ?? '',
        ageOf(object, now),
        orUnset(spec?.volumeMode),
      ];
    },
  },
});
