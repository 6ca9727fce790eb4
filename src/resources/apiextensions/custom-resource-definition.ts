import { unknownFormats } from '#kube/crd/formats.ts';
import { validateCrdStatusUpdate } from '#kube/crd/validation.ts';
import type { CustomResourceDefinition } from '#kube/generated/apiextensions-v1.ts';
import { customResourceDefinitions } from '#kube/refs.ts';
import { defineKind, type Mutable } from '../define.ts';

/** Notes the storage version among those that objects may be stored in. */
function noteStoredVersion(object: Mutable<CustomResourceDefinition>): void {
  const status = object.status ?? {};
  object.status = status;
  const stored = status.storedVersions ?? [];
  const storage = object.spec.versions.find((v) => v.storage)?.name;
  if (storage !== undefined && !stored.includes(storage)) status.storedVersions = [...stored, storage];
}

export const customResourceDefinitionKind = defineKind(customResourceDefinitions, {
  // The rest is checked by the API server's hooks, which compile the schemas.
  validateStatusUpdate: validateCrdStatusUpdate,
  warnings: ({ spec }) => {
    const schemas = spec.versions.flatMap((v) => v.schema?.openAPIV3Schema ?? []);
    return [...new Set(schemas.flatMap((schema) => [...unknownFormats(schema)]))].map(
      (format) => `unrecognized format ${JSON.stringify(format)}`,
    );
  },
  hasStatus: true,
  statusKeepsMetadata: 'all',
  generation: 'spec',
  unconditionalUpdate: false,
  defaults: (object) => {
    const { names, conversion } = object.spec;
    names.singular ||= names.kind.toLowerCase();
    if (names.kind !== '') names.listKind ||= `${names.kind}List`;
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
  prepareForCreate: (draft) => {
    const object = draft as unknown as Mutable<CustomResourceDefinition>;
    object.status = {};
    noteStoredVersion(object);
  },
  prepareForUpdate: (object, old) => {
    object.status = structuredClone(old.status ?? {}) as NonNullable<typeof object.status>;
    noteStoredVersion(object);
  },
});
