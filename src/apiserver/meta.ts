/** metadata of objects that are written: k8s.io/apiserver pkg/registry/rest and k8s.io/apimachinery pkg/api/validation. */
import { jsonEqual } from '#kube/json-value.ts';
import type { Draft, KindDef } from '#kube/kind.ts';
import { isDns1123Label, isDns1123Subdomain, isLabelValue, isQualifiedName } from '#kube/names.ts';
import type { KubeObject, ObjectMeta } from '#kube/object.ts';
import { badRequest, type FieldError } from '#kube/status-error.ts';
import { pathSegmentProblems, standardFinalizer } from '#kube/validation/values.ts';
import type { Core } from './core.ts';
import { timestamp } from './core.ts';

export type DraftMeta = { -readonly [K in keyof ObjectMeta]: ObjectMeta[K] };

/** A draft's metadata, to be changed. */
export const metaOf = (draft: Draft): DraftMeta => draft.metadata as DraftMeta;

const maxNameLength = 63;
const suffixLength = 5;
const annotationsLimit = 256 * 1024;

/** Upstream's name generator: the prefix cut so that prefix and suffix fit into 63 characters. */
export function generatedName(core: Core, prefix: string): string {
  return `${prefix.slice(0, maxNameLength - suffixLength)}${core.random.suffix(suffixLength)}`;
}

/**
 * Checks or sets the namespace of a body against the one in the path: EnsureObjectNamespaceMatchesRequestNamespace.
 * Throws StatusError BadRequest.
 */
export function matchNamespace(def: KindDef, draft: Draft, namespace: string): void {
  const meta = metaOf(draft);
  if (!def.ref.namespaced) {
    delete meta.namespace;
    return;
  }
  if (meta.namespace === undefined || meta.namespace === '') meta.namespace = namespace;
  else if (meta.namespace !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}

/** Checks or sets the name of a body against the one in the path. Throws StatusError BadRequest. */
export function matchName(draft: Draft, name: string): void {
  const meta = metaOf(draft);
  if (meta.name === undefined || meta.name === '') meta.name = name;
  else if (meta.name !== name) throw badRequest(`the name of the object (${meta.name}) does not match the name on the URL (${name})`);
}

/**
 * Drops owner references that are there twice, with upstream's warning (endpoints/handlers/rest.go). `when`: '' or what had
 * happened before.
 */
export function dedupOwners(draft: Draft, warnings: string[], when: '' | ' after mutating admission happens'): void {
  const meta = metaOf(draft);
  const owners = meta.ownerReferences ?? [];
  if (owners.length < 2) return;
  const kept: (typeof owners)[number][] = [];
  const duplicates: string[] = [];
  for (const owner of owners) {
    if (kept.some((k) => jsonEqual(k, owner))) duplicates.push(owner.uid);
    else kept.push(owner);
  }
  if (duplicates.length === 0) return;
  meta.ownerReferences = kept;
  warnings.push(
    `.metadata.ownerReferences contains duplicate entries${when}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${duplicates.join(', ')}`,
  );
}

/** What the server sets on a new object. */
export function initializeMeta(core: Core, def: KindDef, draft: Draft): void {
  const meta = metaOf(draft);
  meta.uid = core.random.uuid();
  meta.creationTimestamp = timestamp(core.clock.now());
  delete meta.deletionTimestamp;
  delete meta.deletionGracePeriodSeconds;
  delete meta.selfLink;
  delete meta.resourceVersion;
  if (def.generation === 'spec') meta.generation = 1;
  else delete meta.generation;
}

const invalidValue = (field: string, value: unknown, why: string): FieldError => ({
  field,
  type: 'FieldValueInvalid',
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
});

function nameErrors(def: KindDef, name: string): string[] {
  switch (def.nameFormat ?? 'subdomain') {
    case 'label':
      return isDns1123Label(name);
    case 'path':
      return pathSegmentProblems(name);
    case 'subdomain':
      return isDns1123Subdomain(name);
  }
}

/** Checks the metadata of any object: ValidateObjectMeta. */
export function validateMeta(def: KindDef, object: KubeObject): FieldError[] {
  const meta = object.metadata;
  const errors: FieldError[] = [];
  if (meta.generateName !== undefined && meta.generateName !== '')
    for (const why of nameErrors(def, maskTrailingDash(meta.generateName)))
      errors.push(invalidValue('metadata.generateName', meta.generateName, why));
  if (meta.name === undefined || meta.name === '')
    errors.push({ field: 'metadata.name', type: 'FieldValueRequired', message: 'Required value: name or generateName is required' });
  else for (const why of nameErrors(def, meta.name)) errors.push(invalidValue('metadata.name', meta.name, why));
  if (def.ref.namespaced) {
    if (meta.namespace === undefined || meta.namespace === '')
      errors.push({ field: 'metadata.namespace', type: 'FieldValueRequired', message: 'Required value' });
    else for (const why of isDns1123Label(meta.namespace)) errors.push(invalidValue('metadata.namespace', meta.namespace, why));
  }
  errors.push(
    ...labelErrors(meta.labels),
    ...annotationErrors(meta.annotations),
    ...ownerErrors(meta),
    ...finalizerErrors(meta.finalizers ?? []),
    ...(def.custom === true || plainMetaGroups.has(def.ref.group) ? [] : kubeFinalizerErrors(meta.finalizers ?? [])),
  );
  return errors;
}

const maskTrailingDash = (name: string): string => (name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name);

/** What is wrong with labels or annotations. */
export const metadataMapErrors = (field: 'labels' | 'annotations', map: Readonly<Record<string, string>>): FieldError[] =>
  field === 'labels' ? labelErrors(map) : annotationErrors(map);

function labelErrors(labels: Readonly<Record<string, string>> = {}): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(labels)) {
    for (const why of isQualifiedName(key)) errors.push(invalidValue('metadata.labels', key, why));
    for (const why of isLabelValue(value)) errors.push(invalidValue('metadata.labels', value, why));
  }
  return errors;
}

function annotationErrors(annotations: Readonly<Record<string, string>> = {}): FieldError[] {
  const errors: FieldError[] = [];
  let total = 0;
  for (const [key, value] of Object.entries(annotations)) {
    for (const why of isQualifiedName(key.toLowerCase())) errors.push(invalidValue('metadata.annotations', key, why));
    total += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (total > annotationsLimit)
    errors.push({
      field: 'metadata.annotations',
      type: 'FieldValueTooLong',
      message: `Too long: may not be more than ${annotationsLimit} bytes`,
    });
  return errors;
}

function ownerErrors(meta: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  const required = (field: string, value: string, why: string): void => {
    if (value === '') errors.push(invalidValue(`metadata.ownerReferences.${field}`, value, why));
  };
  const controllers = (meta.ownerReferences ?? []).filter((o) => o.controller === true);
  for (const owner of meta.ownerReferences ?? []) {
    required('apiVersion', owner.apiVersion, 'version must not be empty');
    required('kind', owner.kind, 'must not be empty');
    required('name', owner.name, 'must not be empty');
    required('uid', owner.uid, 'must not be empty');
  }
  if (controllers.length > 1)
    errors.push(
      invalidValue(
        'metadata.ownerReferences',
        meta.ownerReferences,
        `Only one reference can have Controller set to true. Found "true" in references for ${controllers
          .slice(0, 2)
          .map((c) => `${c.kind}/${c.name}`)
          .join(' and ')}`,
      ),
    );
  return errors;
}

/** The groups whose objects, like custom resources, are held to apimachinery's rules for metadata only, not to those of pkg/apis/core/validation. */
const plainMetaGroups: ReadonlySet<string> = new Set([
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'apiregistration.k8s.io',
  'coordination.k8s.io',
]);

const kubeFinalizerErrors = (finalizers: readonly string[]): FieldError[] =>
  finalizers.flatMap((finalizer, i) => standardFinalizer(`metadata.finalizers[${i}]`, finalizer));

function finalizerErrors(finalizers: readonly string[]): FieldError[] {
  const field = 'metadata.finalizers';
  const errors = finalizers.flatMap((name) => isQualifiedName(name).map((why) => invalidValue(field, name, why)));
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion'))
    errors.push(invalidValue(field, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  return errors;
}

/** Before an update: what a client may leave out is taken from the old object, what only the server sets is reset. */
export function carryMeta(draft: Draft, old: KubeObject): void {
  const meta = metaOf(draft);
  const before = old.metadata;
  if (meta.uid === undefined || meta.uid === '') setOrDelete(meta, 'uid', before.uid);
  if (meta.creationTimestamp === undefined || meta.creationTimestamp === null)
    setOrDelete(meta, 'creationTimestamp', before.creationTimestamp);
  if (before.deletionTimestamp !== undefined) {
    meta.deletionTimestamp ??= before.deletionTimestamp;
    if (before.deletionGracePeriodSeconds !== undefined) meta.deletionGracePeriodSeconds ??= before.deletionGracePeriodSeconds;
  }
  delete meta.selfLink;
  setOrDelete(meta, 'generation', before.generation);
  if (meta.generateName === undefined) setOrDelete(meta, 'generateName', before.generateName);
}

function setOrDelete<K extends keyof DraftMeta>(meta: DraftMeta, key: K, value: DraftMeta[K]): void {
  if (value === undefined) delete meta[key];
  else meta[key] = value;
}

/** What an update may not change: ValidateObjectMetaUpdate. */
export function validateMetaUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const now = object.metadata;
  const before = old.metadata;
  for (const key of ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const)
    if (now[key] !== before[key]) errors.push(invalidValue(`metadata.${key}`, now[key] ?? null, 'field is immutable'));
  if (before.deletionTimestamp !== undefined) {
    const added = (now.finalizers ?? []).filter((f) => before.finalizers?.includes(f) !== true);
    if (added.length > 0)
      errors.push({
        field: 'metadata.finalizers',
        type: 'FieldValueForbidden',
        message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${added
          .map((f) => JSON.stringify(f))
          .join(', ')}}`,
      });
  }
  return errors;
}

/** True when anything but metadata (and status, where that is a subresource) differs: then the generation grows. */
export function specChanged(a: KubeObject, b: KubeObject, withStatus = false): boolean {
  const strip = (o: KubeObject): string => {
    const { metadata: _m, status, apiVersion: _v, kind: _k, ...rest } = o as KubeObject & Record<string, unknown>;
    return canonicalJson(withStatus ? { ...rest, status } : rest);
  };
  return strip(a) !== strip(b);
}

/** JSON with sorted keys. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}
