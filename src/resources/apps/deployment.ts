import { deployments } from '#kube/refs.ts';
import { templateDefaults } from '../core/pod-defaults.ts';
import { inPodNames, nameWarnings, podWarnings } from '../core/pod-warnings.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, containerCells, containerColumns, formatSelector, nameColumn, selectorColumn } from '../print.ts';
import { workloadScale } from '../scale.ts';
import { deploymentStatus } from './status-validation.ts';
import { validateDeployment, validateDeploymentUpdate } from './validation.ts';

export const deploymentKind = defineKind(deployments, {
  warnings: (object, old) => [
    ...(old === undefined ? nameWarnings(object, inPodNames) : []),
    ...podWarnings('spec.template', object.spec?.template),
  ],
  validate: validateDeployment,
  validateUpdate: validateDeploymentUpdate,
  validateStatusUpdate: deploymentStatus,
  hasStatus: true,
  statusKeepsMetadata: ['labels'],
  generation: 'spec',
  scale: workloadScale,
  defaults: (object) => {
    const { spec } = object;
    if (spec === undefined) return;
    templateDefaults(spec.template);
    spec.replicas ??= 1;
    spec.strategy ??= {};
    spec.strategy.type ||= 'RollingUpdate';
    if (spec.strategy.type === 'RollingUpdate') {
      const rolling = spec.strategy.rollingUpdate ?? {};
      rolling.maxUnavailable ??= '25%';
      rolling.maxSurge ??= '25%';
      spec.strategy.rollingUpdate = rolling;
    }
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
  },
  table: {
    columns: [
      nameColumn,
      column('Ready', 'Number of the pod with ready state.'),
      column('Up-to-date', 'Number of pods of the current template.', 'integer'),
      column('Available', 'Number of available pods.', 'integer'),
      ageColumn,
      ...containerColumns,
      selectorColumn,
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      `${object.status?.readyReplicas ?? 0}/${object.spec?.replicas ?? 0}`,
      object.status?.updatedReplicas ?? 0,
      object.status?.availableReplicas ?? 0,
      ageOf(object, now),
      ...containerCells(object.spec?.template.spec?.containers),
      formatSelector(object.spec?.selector),
    ],
  },
});
