import { statefulSets } from '#kube/refs.ts';
import { claimSpecDefaults } from '../core/claim-defaults.ts';
import { templateDefaults } from '../core/pod-defaults.ts';
import { inPodNames, nameWarnings, podWarnings } from '../core/pod-warnings.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, containerCells, containerColumns, nameColumn } from '../print.ts';
import { workloadScale } from '../scale.ts';
import { statefulSetStatus } from './status-validation.ts';
import { validateStatefulSet, validateStatefulSetUpdate } from './validation.ts';

export const statefulSetKind = defineKind(statefulSets, {
  warnings: (object, old) => [
    ...(old === undefined ? nameWarnings(object, inPodNames) : []),
    ...podWarnings('spec.template', object.spec?.template),
  ],
  validate: validateStatefulSet,
  validateUpdate: validateStatefulSetUpdate,
  validateStatusUpdate: statefulSetStatus,
  hasStatus: true,
  generation: 'spec',
  scale: workloadScale,
  defaults: (object) => {
    const { spec } = object;
    if (spec === undefined) return;
    templateDefaults(spec.template);
    for (const claim of spec.volumeClaimTemplates ?? []) {
      if (claim.spec !== undefined) claimSpecDefaults(claim.spec);
      claim.kind = 'PersistentVolumeClaim';
      claim.apiVersion = 'v1';
      claim.status = { ...claim.status, phase: claim.status?.phase || 'Pending' };
    }
    spec.podManagementPolicy ||= 'OrderedReady';
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= 'RollingUpdate';
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate = { partition: 0, ...spec.updateStrategy.rollingUpdate };
    }
    const retention = spec.persistentVolumeClaimRetentionPolicy ?? {};
    retention.whenDeleted ||= 'Retain';
    retention.whenScaled ||= 'Retain';
    spec.persistentVolumeClaimRetentionPolicy = retention;
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
  },
  table: {
    columns: [nameColumn, column('Ready', 'Number of the pod with ready state.'), ageColumn, ...containerColumns],
    cells: (object, now) => [
      object.metadata.name ?? '',
      `${object.status?.readyReplicas ?? 0}/${object.spec?.replicas ?? 0}`,
      ageOf(object, now),
      ...containerCells(object.spec?.template.spec?.containers),
    ],
  },
});
