/**
 * CustomResourceDefinitions: pkg/apis/apiextensions/validation/validation.go, in its order and with the paths of the internal version.
 * What is wrong with a schema is found by the caller, who compiles it.
 */

import type {
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionSpec,
  JSONSchemaProps,
} from '../generated/apiextensions-v1.ts';
import { jsonEqual } from '../json-value.ts';
import { isDns1035Label, isDns1123Subdomain } from '../names.ts';
import type { FieldError } from '../status-error.ts';
import { fieldForbidden, fieldInvalid, fieldRequired } from '../validation/field-error.ts';
import { immutable, oneOf } from '../validation/values.ts';
import { caBundleProblem } from '../validation/webhook-client.ts';
import { approvalAnnotation, approvalOf } from './approval.ts';
import { conversionErrors, hasKnownReview } from './conversion-validation.ts';
import {
  allowedAtRootText,
  goSchema,
  goVersions,
  hasMoreThanAllowedAtRoot,
  type InternalSpec,
  internalSpec,
  type VersionParts,
} from './internal.ts';
import { columnErrors, deprecationErrors, scaleErrors, selectableErrors } from './version-validation.ts';

/** Finds what is wrong with a schema that stands at a path. */
export type CheckSchema = (schema: JSONSchemaProps, path: string) => readonly FieldError[];

type Crd = CustomResourceDefinition;
type Names = CustomResourceDefinitionNames;

/**
 * Checks a definition before it is created or, with `old`, updated. Schemas that an update leaves as they are, also in another
 * version, are not checked anew.
 */
export function definitionErrors(crd: Crd, old: Crd | undefined, checkSchema: CheckSchema): FieldError[] {
  const { spec } = crd;
  const internal = internalSpec(spec);
  const known = (old?.spec.versions ?? []).map((v) => v.schema?.openAPIV3Schema);
  const check: CheckSchema = (schema, path) => (known.some((k) => jsonEqual(k, schema)) ? [] : checkSchema(schema, path));
  return [
    ...nameErrors(crd),
    ...groupErrors(spec.group),
    ...oneOf('spec.scope', spec.scope, ['Cluster', 'Namespaced']),
    ...versionsErrors(spec, internal, old, check),
    ...requiredNames(spec.names),
    ...namesErrors('spec.names', spec.names),
    ...sharedErrors(internal, old, check),
    ...conversionErrors(spec.conversion, 'spec.conversion', toleranceOf(old)),
    ...(old === undefined ? [] : immutableErrors(spec, old)),
    ...storedVersionErrors(crd),
    ...approvalErrors(crd, old),
    ...preserveErrors(spec, old),
  ];
}

function nameErrors({ metadata, spec }: Crd): FieldError[] {
  const fits = metadata.name === `${spec.names.plural}.${spec.group}`;
  return fits ? [] : [fieldInvalid('metadata.name', metadata.name ?? '', 'must be spec.names.plural+"."+spec.group')];
}

/** Problems of one text as one error, as upstream joins them. */
function joined(field: string, value: string, problems: readonly string[], before = ''): FieldError[] {
  return problems.length === 0 ? [] : [fieldInvalid(field, value, `${before}${problems.join(',')}`)];
}

function groupErrors(group: string): FieldError[] {
  if (group === '') return [fieldRequired('spec.group')];
  const problems = isDns1123Subdomain(group);
  if (problems.length > 0) return joined('spec.group', group, problems);
  return group.includes('.') ? [] : [fieldInvalid('spec.group', group, 'should be a domain with at least one dot')];
}

function versionsErrors(
  spec: CustomResourceDefinitionSpec,
  internal: InternalSpec,
  old: Crd | undefined,
  check: CheckSchema,
): FieldError[] {
  const errors: FieldError[] = [];
  const field = 'spec.versions';
  for (const [i, v] of spec.versions.entries())
    if (v.schema?.openAPIV3Schema === undefined) errors.push(fieldRequired(`${field}[${i}].schema.openAPIV3Schema`));
  for (const [i, v] of internal.versions.entries()) {
    const at = `${field}[${i}]`;
    errors.push(...joined(`${at}.name`, v.version.name, isDns1035Label(v.version.name)));
    errors.push(...deprecationErrors(v.version, at));
    const before = old?.spec.versions.find((o) => o.name === v.version.name)?.selectableFields;
    errors.push(...partsErrors(v, { at, schemaAt: `${at}.schema`, hasStatus: v.hasStatus, selectableBefore: before }, check));
  }
  const names = spec.versions.map((v) => v.name);
  if (new Set(names).size < names.length) errors.push(fieldInvalid(field, goVersions(internal), 'must contain unique version names'));
  if (spec.versions.filter((v) => v.storage).length !== 1)
    errors.push(fieldInvalid(field, goVersions(internal), 'must have exactly one version marked as storage version'));
  // The internal version also says the first version's name by itself.
  const [first = ''] = names;
  return first === '' ? errors : [...errors, ...joined('spec.version', first, isDns1035Label(first))];
}

/** What all versions say alike. */
function sharedErrors(internal: InternalSpec, old: Crd | undefined, check: CheckSchema): FieldError[] {
  const hasStatus = internal.versions.some((v) => v.hasStatus);
  const selectableBefore = old === undefined ? undefined : internalSpec(old.spec).shared.selectableFields;
  return partsErrors(internal.shared, { at: 'spec', schemaAt: 'spec.validation', hasStatus, selectableBefore }, check);
}

interface Place {
  readonly at: string;
  readonly schemaAt: string;
  readonly hasStatus: boolean;
  readonly selectableBefore: VersionParts['selectableFields'] | undefined;
}

function partsErrors(parts: VersionParts, place: Place, check: CheckSchema): FieldError[] {
  const { at, selectableBefore } = place;
  const { schema, subresources, columns, selectableFields } = parts;
  const errors = schema === undefined ? [] : schemaPlaceErrors(schema, place, check);
  errors.push(...scaleErrors(subresources, `${at}.subresources`));
  for (const [i, column] of columns.entries()) errors.push(...columnErrors(column, `${at}.additionalPrinterColumns[${i}]`));
  if (selectableFields.length > 0 && schema !== undefined)
    errors.push(...selectableErrors(selectableFields, schema, `${at}.selectableFields`, jsonEqual(selectableFields, selectableBefore)));
  return errors;
}

function schemaPlaceErrors(schema: JSONSchemaProps, { schemaAt, hasStatus }: Place, check: CheckSchema): FieldError[] {
  const field = `${schemaAt}.openAPIV3Schema`;
  const errors: FieldError[] = [];
  const type = schema.type ?? '';
  if (hasStatus && type !== '' && type !== 'object')
    errors.push(
      fieldInvalid(
        `${field}.type`,
        type,
        'only "object" is allowed as the type at the root of the schema if the status subresource is enabled',
      ),
    );
  else if (hasStatus && hasMoreThanAllowedAtRoot(schema)) errors.push(fieldInvalid(field, goSchema(schema), allowedAtRootText));
  if (schema.nullable === true) errors.push(fieldForbidden(`${field}.nullable`, 'nullable cannot be true at the root'));
  return [...errors, ...check(schema, field)];
}

const nameParts = ['plural', 'singular', 'kind', 'listKind'] as const;

const requiredNames = (names: Names): FieldError[] =>
  nameParts.filter((part) => (names[part] ?? '') === '').map((part) => fieldRequired(`spec.names.${part}`));

/** ValidateCustomResourceDefinitionNames. */
function namesErrors(field: string, names: Names): FieldError[] {
  const errors: FieldError[] = [];
  for (const part of nameParts) {
    const value = names[part] ?? '';
    if (value === '') continue;
    const mixed = part === 'kind' || part === 'listKind';
    errors.push(
      ...(mixed
        ? joined(`${field}.${part}`, value, isDns1035Label(value.toLowerCase()), 'may have mixed case, but should otherwise match: ')
        : joined(`${field}.${part}`, value, isDns1035Label(value))),
    );
  }
  for (const [i, name] of (names.shortNames ?? []).entries())
    errors.push(...joined(`${field}.shortNames[${i}]`, name, isDns1035Label(name)));
  if (names.kind !== '' && names.kind === names.listKind)
    errors.push(fieldInvalid(`${field}.listKind`, names.listKind, 'kind and listKind may not be the same'));
  for (const [i, name] of (names.categories ?? []).entries())
    errors.push(...joined(`${field}.categories[${i}]`, name, isDns1035Label(name)));
  return errors;
}

const isEstablished = (crd: Crd): boolean => crd.status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True') === true;

/** A definition that is not in use may hold a bad bundle of authorities, and what is stored may stay as bad as it is. */
function toleranceOf(old: Crd | undefined): { unknownReviews: boolean; badCaBundle: boolean } {
  const webhook = old?.spec.conversion?.webhook;
  const bundle = webhook?.clientConfig?.caBundle ?? '';
  return {
    unknownReviews: old !== undefined && !hasKnownReview(webhook),
    badCaBundle: old === undefined || !isEstablished(old) || (bundle !== '' && caBundleProblem(bundle) !== undefined),
  };
}

function immutableErrors(spec: CustomResourceDefinitionSpec, old: Crd): FieldError[] {
  const inUse = isEstablished(old)
    ? [...immutable('spec.scope', spec.scope, old.spec.scope), ...immutable('spec.names.kind', spec.names.kind, old.spec.names.kind)]
    : [];
  return [
    ...inUse,
    ...immutable('spec.group', spec.group, old.spec.group),
    ...immutable('spec.names.plural', spec.names.plural, old.spec.names.plural),
  ];
}

/** Versions in which objects may be stored: ValidateCustomResourceDefinitionStoredVersions. */
function storedVersionErrors({ spec, status }: Crd): FieldError[] {
  const stored = status?.storedVersions ?? [];
  const field = 'status.storedVersions';
  if (stored.length === 0) return [fieldInvalid(field, status?.storedVersions ?? null, 'must have at least one stored version')];
  const errors = spec.versions
    .filter((v) => v.storage && !stored.includes(v.name))
    .map((v) => fieldInvalid(field, stored, `must have the storage version ${v.name}`));
  for (const [i, v] of stored.entries()) {
    if (spec.versions.some((version) => version.name === v)) continue;
    const why = `missing from spec.versions; ${v} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${v} and removes ${v} from status.storedVersions`;
    errors.push(fieldInvalid(`${field}[${i}]`, v, why));
  }
  return errors;
}

/** An approval that has not changed is not looked at: validateAPIApproval. */
function approvalErrors(crd: Crd, old: Crd | undefined): FieldError[] {
  const approval = approvalOf(crd);
  if (approval === undefined || (old !== undefined && approvalOf(old)?.state === approval.state)) return [];
  const field = `metadata.annotations[${approvalAnnotation}]`;
  if (approval.state === 'Missing') return [fieldRequired(field, approval.message)];
  return approval.state === 'Invalid' ? [fieldInvalid(field, crd.metadata.annotations?.[approvalAnnotation], approval.message)] : [];
}

function preserveErrors(spec: CustomResourceDefinitionSpec, old: Crd | undefined): FieldError[] {
  if (spec.preserveUnknownFields !== true || old?.spec.preserveUnknownFields === true) return [];
  return [
    fieldInvalid(
      'spec.preserveUnknownFields',
      true,
      'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
    ),
  ];
}

/** What only an update of the status may change. */
export const validateCrdStatusUpdate = (crd: Crd): FieldError[] => [
  ...(crd.status?.acceptedNames === undefined ? [] : namesErrors('status.acceptedNames', crd.status.acceptedNames)),
  ...storedVersionErrors(crd),
];
