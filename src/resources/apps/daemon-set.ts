import { daemonSets } from '#kube/refs.ts';
import { templateDefaults } from '../core/pod-defaults.ts';
import { podWarnings } from '../core/pod-warnings.ts';
import { defineKind } from '../define.ts';
import {
  ageColumn,
  ageOf,
  column,
  containerCells,
  containerColumns,
  formatLabels,
  formatSelector,
  nameColumn,
  selectorColumn,
} from '../print.ts';
import { daemonSetStatus } from './status-validation.ts';
import { validateDaemonSet, validateDaemonSetUpdate } from './validation.ts';

export const daemonSetKind = defineKind(daemonSets, {
  warnings: (object) => [...podWarnings('spec.template', object.spec?.template)],
  validate: validateDaemonSet,
  validateUpdate: validateDaemonSetUpdate,
  validateStatusUpdate: daemonSetStatus,
  hasStatus: true,
  generation: 'spec',
  defaults: (object) => {
    const { spec } = object;
    if (spec === undefined) return;
    templateDefaults(spec.template);
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= 'RollingUpdate';
    if (spec.updateStrategy.type === 'RollingUpdate') {
      const rolling = spec.updateStrategy.rollingUpdate ?? {};
      rolling.maxUnavailable ??= 1;
      rolling.maxSurge ??= 0;
      spec.updateStrategy.rollingUpdate = rolling;
    }
    spec.revisionHistoryLimit ??= 10;
  },
  table: {
    columns: [
      nameColumn,
      column('Desired', 'The number of nodes that should run a pod.', 'integer'),
      column('Current', 'The number of nodes that run a pod.', 'integer'),
      column('Ready', 'The number of nodes whose pod is ready.', 'integer'),
      column('Up-to-date', 'The number of nodes whose pod is of the current template.', 'integer'),
      column('Available', 'The number of nodes whose pod is available.', 'integer'),
      column('Node Selector', 'The labels that a node must have.'),
      ageColumn,
      ...containerColumns,
      selectorColumn,
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      object.status?.desiredNumberScheduled ?? 0,
      object.status?.currentNumberScheduled ?? 0,
      object.status?.numberReady ?? 0,
      object.status?.updatedNumberScheduled ?? 0,
      object.status?.numberAvailable ?? 0,
      formatLabels(object.spec?.template.spec?.nodeSelector),
      ageOf(object, now),
      ...containerCells(object.spec?.template.spec?.containers),
      formatSelector(object.spec?.selector),
    ],
  },
});
