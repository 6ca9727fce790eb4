import type { Namespace } from '#kube/generated/core-v1.ts';
import { allVerbs } from '#kube/kind.ts';
import { namespaces } from '#kube/refs.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid } from '#kube/validation/field-error.ts';
import { finalizerName } from '#kube/validation/values.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';

/** The finalizer that holds a namespace until its content is gone. */
const contentFinalizer = 'kubernetes';

/** ValidateNamespaceStatusUpdate: the phase follows from whether the namespace is being deleted. */
function validateStatus({ metadata, status }: Namespace): FieldError[] {
  const [phase, when] = metadata.deletionTimestamp === undefined ? ['Active', ''] : ['Terminating', 'not '];
  if (status?.phase === phase) return [];
  return [fieldInvalid('status.Phase', status?.phase ?? '', `may only be '${phase}' if \`deletionTimestamp\` is ${when}empty`)];
}

export const namespaceKind = defineKind(namespaces, {
  hasStatus: true,
  validate: ({ spec }) => (spec?.finalizers ?? []).flatMap((name) => finalizerName('spec.finalizers', name)),
  validateUpdate: () => [],
  validateStatusUpdate: validateStatus,
  nameFormat: 'label',
  subresources: ['finalize'],
  verbs: allVerbs.filter((verb) => verb !== 'deletecollection'),
  defaults: (object) => {
    const { name } = object.metadata;
    if (name !== undefined && name !== '') object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': name };
    object.status ??= {};
    object.status.phase ||= 'Active';
  },
  prepareForCreate: (object) => {
    object.status = { phase: 'Active' };
    object.spec ??= {};
    const finalizers = object.spec.finalizers ?? [];
    if (!finalizers.includes(contentFinalizer)) object.spec.finalizers = [...finalizers, contentFinalizer];
  },
  prepareForUpdate: (object, old) => {
    if (old.spec?.finalizers === undefined) delete object.spec?.finalizers;
    else object.spec = { ...object.spec, finalizers: [...old.spec.finalizers] };
  },
  prepareForDelete: (object) => {
    delete (object.metadata as { deletionGracePeriodSeconds?: number }).deletionGracePeriodSeconds;
    object['status'] = { ...(object['status'] as object), phase: 'Terminating' };
  },
  holdsDeletion: (object) => (object.spec?.finalizers ?? []).length > 0,
  selectableFields: { 'status.phase': (object) => object.status?.phase ?? '', name: (object) => object.metadata.name ?? '' },
  table: {
    columns: [nameColumn, column('Status', 'The status of the namespace.'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', object.status?.phase ?? '', ageOf(object, now)],
  },
});
