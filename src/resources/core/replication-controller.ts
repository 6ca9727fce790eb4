import type { ReplicationController } from '#kube/generated/core-v1.ts';
import { replicationControllers } from '#kube/refs.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { nonNegative } from '#kube/validation/values.ts';
import { replicaSetStatus } from '../apps/status-validation.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, containerCells, containerColumns, formatLabels, nameColumn, selectorColumn } from '../print.ts';
import { templateDefaults } from './pod-defaults.ts';
import { podTemplate } from './pod-validation/pod.ts';

function validate(object: ReplicationController): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const selector = spec.selector ?? {};
  const errors = nonNegative('spec.minReadySeconds', spec.minReadySeconds);
  if (Object.keys(selector).length === 0) errors.push(fieldRequired('spec.selector'));
  errors.push(...nonNegative('spec.replicas', spec.replicas));
  if (spec.template === undefined) return [...errors, fieldRequired('spec.template')];
  const labels = spec.template.metadata?.labels ?? {};
  if (!Object.entries(selector).every(([key, value]) => labels[key] === value)) {
    errors.push(fieldInvalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
  }
  errors.push(...podTemplate('spec.template', spec.template));
  const policy = spec.template.spec?.restartPolicy;
  if (policy !== 'Always') errors.push(fieldNotSupported('spec.template.spec.restartPolicy', policy ?? '', ['Always']));
  if (spec.template.spec?.activeDeadlineSeconds !== undefined) {
    const field = 'spec.template.spec.activeDeadlineSeconds';
    errors.push(fieldForbidden(field, 'activeDeadlineSeconds in ReplicationController is not Supported'));
  }
  return errors;
}

export const replicationControllerKind = defineKind(replicationControllers, {
  validate,
  validateStatusUpdate: replicaSetStatus,
  hasStatus: true,
  generation: 'spec',
  defaultPropagation: 'Orphan',
  defaults: (object) => {
    const { spec, metadata } = object;
    if (spec === undefined) return;
    const labels = spec.template?.metadata?.labels;
    if (labels !== undefined && Object.keys(labels).length > 0) {
      if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels };
      if (Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
    }
    templateDefaults(spec.template);
  },
  scale: {
    specReplicasPath: 'spec.replicas',
    statusReplicasPath: 'status.replicas',
    selector: (object) => {
      const selector = (object as { readonly spec?: { readonly selector?: Readonly<Record<string, string>> } }).spec?.selector;
      return formatLabels(selector).replace('<none>', '');
    },
  },
  selectableFields: { 'status.replicas': (object) => String(object.status?.replicas ?? 0) },
  table: {
    columns: [
      nameColumn,
      column('Desired', 'The number of desired replicas.', 'integer'),
      column('Current', 'The number of replicas that exist.', 'integer'),
      column('Ready', 'The number of replicas that are ready.', 'integer'),
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
      formatLabels(object.spec?.selector),
    ],
  },
});
