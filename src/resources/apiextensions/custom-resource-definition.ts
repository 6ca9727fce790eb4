import type { CustomResourceDefinition } from '#kube/generated/apiextensions-v1.ts';
import { customResourceDefinitions } from '#kube/refs.ts';
import { defineKind, type Mutable } from '../define.ts';
import { validateCrd, validateCrdStatusUpdate, validateCrdUpdate } from './validation.ts';

/** Notes the storage version among those that objects may be stored in. */
function noteStoredVersion(object: Mutable<CustomResourceDefinition>): void {
  const status = object.status ?? {};
  object.status = status;
  const stored = status.storedVersions ?? [];
  const storage = object.spec.versions.find((v) => v.storage)?.name;
  status.storedVersions = storage === undefined || stored.includes(storage) ? stored : [...stored, storage];
}

export const customResourceDefinitionKind = defineKind(customResourceDefinitions, {
  validate: validateCrd,
  validateUpdate: validateCrdUpdate,
  validateStatusUpdate: validateCrdStatusUpdate,
  hasStatus: true,
  statusKeepsMetadata: 'all',
  generation: 'spec',
  unconditionalUpdate: false,
  defaults: (object) => {
    const { names, conversion } = object.spec;
    names.singular ||= names.kind.toLowerCase();
    names.listKind ||= `${names.kind}List`;
    if (conversion === undefined) object.spec.conversion = { strategy: 'None' };
    else if (conversion.webhook?.clientConfig?.service !== undefined) conversion.webhook.clientConfig.service.port ??= 443;
  },
  deletionFinalizer: 'customresourcecleanup.apiextensions.k8s.io',
  prepareForDelete: (draft) => {
    const object = draft as unknown as Mutable<CustomResourceDefinition>;
    const status = object.status ?? {};
    object.status = status;
    const { deletionTimestamp } = object.metadata;
    const terminating = {
      type: 'Terminating',
      status: 'True',
      reason: 'InstanceDeletionPending',
      message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
      ...(deletionTimestamp === undefined ? {} : { lastTransitionTime: deletionTimestamp }),
    };
    status.conditions = [...(status.conditions ?? []).filter((c) => c.type !== 'Terminating'), terminating];
  },
  prepareForCreate: noteStoredVersion,
  prepareForUpdate: (object, old) => {
    object.status = structuredClone(old.status ?? {}) as NonNullable<typeof object.status>;
    noteStoredVersion(object);
  },
});
