import { replicaSets } from '#kube/refs.ts';
import { templateDefaults } from '../core/pod-defaults.ts';
import { inPodNames, nameWarnings, podWarnings } from '../core/pod-warnings.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, containerCells, containerColumns, formatSelector, nameColumn, selectorColumn } from '../print.ts';
import { workloadScale } from '../scale.ts';
import { replicaSetStatus } from './status-validation.ts';
import { validateReplicaSet, validateReplicaSetUpdate } from './validation.ts';

export const replicaSetKind = defineKind(replicaSets, {
  warnings: (object, old) => [
    ...(old === undefined ? nameWarnings(object, inPodNames) : []),
    ...podWarnings('spec.template', object.spec?.template),
  ],
  validate: validateReplicaSet,
  validateUpdate: validateReplicaSetUpdate,
  validateStatusUpdate: replicaSetStatus,
  hasStatus: true,
  generation: 'spec',
  scale: workloadScale,
  defaults: (object) => {
    if (object.spec === undefined) return;
    templateDefaults(object.spec.template);
    object.spec.replicas ??= 1;
  },
  selectableFields: { 'status.replicas': (object) => String(object.status?.replicas ?? 0) },
  table: {
    columns: [
      nameColumn,
      column('Desired', 'The number of desired pods.', 'integer'),
      column('Current', 'The number of pods that exist.', 'integer'),
      column('Ready', 'The number of pods that are ready.', 'integer'),
      ageColumn,
      ...containerColumns,
      selectorColumn,
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      object.spec?.replicas ?? 0,
      object.status?.replicas ?? 0,
      object.status?.readyReplicas ?? 0,
      ageOf(object, now),
      ...containerCells(object.spec?.template?.spec?.containers),
      formatSelector(object.spec?.selector),
    ],
  },
});
