import type { PersistentVolumeClaim } from '#kube/generated/core-v1.ts';
import { persistentVolumeClaims } from '#kube/refs.ts';
import { defineKind, type Mutable } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn, orUnset, wideColumn } from '../print.ts';
import { accessModesText } from './access-modes.ts';
import { claimSpecDefaults } from './claim-defaults.ts';
import { claimSpec, claimStatus, claimUpdate } from './claim-validation.ts';
import { roundResources } from './pod-defaults.ts';
import { claimWarnings } from './volume-warnings.ts';

/** `dataSource` and `dataSourceRef` name the same thing unless another namespace is meant (NormalizeDataSources). */
function normalizeDataSources(claim: Mutable<PersistentVolumeClaim>): void {
  const { spec } = claim;
  if (spec === undefined) return;
  const known = (source: { kind: string; apiGroup?: string }): boolean =>
    (source.kind === 'PersistentVolumeClaim' && (source.apiGroup ?? '') === '') ||
    (source.kind === 'VolumeSnapshot' && source.apiGroup === 'snapshot.storage.k8s.io');
  if (spec.dataSource !== undefined && spec.dataSourceRef === undefined && known(spec.dataSource))
    spec.dataSourceRef = { ...spec.dataSource };
  else if (spec.dataSource === undefined && spec.dataSourceRef !== undefined && spec.dataSourceRef.namespace === undefined) {
    const { namespace: _none, ...source } = spec.dataSourceRef;
    if (known(source)) spec.dataSource = source;
  }
}

export const persistentVolumeClaimKind = defineKind(persistentVolumeClaims, {
  returnsDeleted: true,
  validate: (object) => claimSpec('spec', object.spec ?? {}),
  validateUpdate: claimUpdate,
  validateStatusUpdate: claimStatus,
  warnings: claimWarnings,
  hasStatus: true,
  defaults: (object) => {
    object.status ??= {};
    object.status.phase ||= 'Pending';
    if (object.spec === undefined) return;
    claimSpecDefaults(object.spec);
    roundResources(object.spec.resources?.requests);
    roundResources(object.spec.resources?.limits);
  },
  prepareForCreate: (object) => {
    object.status = { phase: 'Pending' };
    normalizeDataSources(object);
  },
  selectableFields: { name: (object) => object.metadata.name ?? '' },
  table: {
    columns: [
      nameColumn,
      column('Status', 'The phase of the claim.'),
      column('Volume', 'The volume that backs the claim.'),
      column('Capacity', 'The size of the volume.'),
      column('Access Modes', 'The ways the volume can be mounted.'),
      column('StorageClass', 'The storage class that the claim asks for.'),
      column('VolumeAttributesClass', 'The volume attributes class that the claim asks for.'),
      ageColumn,
      wideColumn('VolumeMode', 'Whether a block device or a filesystem is asked for.'),
    ],
    cells: (object, now) => {
      const { spec, status } = object;
      const bound = (spec?.volumeName ?? '') !== '';
      return [
        object.metadata.name ?? '',
        object.metadata.deletionTimestamp === undefined ? (status?.phase ?? '') : 'Terminating',
        spec?.volumeName ?? '',
        bound ? String(status?.capacity?.['storage'] ?? 0) : '',
        bound ? accessModesText(status?.accessModes) : '',
        spec?.storageClassName ?? object.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? '',
        orUnset(spec?.volumeAttributesClassName),
        ageOf(object, now),
        orUnset(spec?.volumeMode),
      ];
    },
  },
});
