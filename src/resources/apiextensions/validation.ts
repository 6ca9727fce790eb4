/** CustomResourceDefinitions: names, versions and conversion. Schemas are checked where they are compiled. */
import { approvalAnnotation, approvalOf } from '#kube/crd-approval.ts';
import type { CustomResourceDefinition, CustomResourceDefinitionSpec } from '#kube/generated/apiextensions-v1.ts';
import { isDns1035Label, isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { immutable } from '#kube/validation/values.ts';
import { versionErrors, webhookErrors } from './version-validation.ts';

function names(field: string, spec: CustomResourceDefinitionSpec): FieldError[] {
  const { plural, singular = '', kind, listKind = '', shortNames = [], categories = [] } = spec.names;
  const label = (part: string, value: string): FieldError[] =>
    value === '' ? [fieldRequired(`${field}.${part}`)] : fieldProblems(`${field}.${part}`, value, isDns1035Label(value));
  const errors = [...label('plural', plural), ...label('singular', singular)];
  for (const [part, value] of [
    ['kind', kind],
    ['listKind', listKind],
  ] as const) {
    if (value === '') errors.push(fieldRequired(`${field}.${part}`));
    else
      errors.push(
        ...isDns1035Label(value.toLowerCase()).map((why) =>
          fieldInvalid(`${field}.${part}`, value, `may have mixed case, but should otherwise match: ${why}`),
        ),
      );
  }
  for (const [i, name] of shortNames.entries()) errors.push(...fieldProblems(`${field}.shortNames[${i}]`, name, isDns1035Label(name)));
  for (const [i, name] of categories.entries()) errors.push(...fieldProblems(`${field}.categories[${i}]`, name, isDns1035Label(name)));
  if (kind !== '' && kind === listKind) errors.push(fieldInvalid(`${field}.listKind`, listKind, 'kind and listKind may not be the same'));
  return errors;
}

function versions(field: string, spec: CustomResourceDefinitionSpec): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [i, version] of spec.versions.entries()) {
    const at = `${field}[${i}]`;
    if (seen.has(version.name)) errors.push(fieldInvalid(`${at}.name`, version.name, 'must contain unique version names'));
    seen.add(version.name);
    errors.push(...fieldProblems(`${at}.name`, version.name, isDns1035Label(version.name)));
    if (version.schema?.openAPIV3Schema === undefined) errors.push(fieldRequired(`${at}.schema.openAPIV3Schema`, 'schemas are required'));
    errors.push(...versionErrors(version, at));
  }
  if (spec.versions.filter((v) => v.storage).length !== 1) {
    errors.push(
      fieldInvalid(
        field,
        spec.versions.map((v) => v.name),
        'must have exactly one version marked as storage version',
      ),
    );
  }
  return errors;
}

function conversion(field: string, spec: CustomResourceDefinitionSpec): FieldError[] {
  const { conversion: value } = spec;
  if (value === undefined) return [];
  if (value.strategy === '') return [fieldRequired(`${field}.strategy`)];
  if (value.strategy !== 'None' && value.strategy !== 'Webhook')
    return [fieldNotSupported(`${field}.strategy`, value.strategy, ['None', 'Webhook'])];
  if (value.strategy === 'None') {
    return value.webhook === undefined
      ? []
      : [
          {
            field: `${field}.webhook`,
            type: 'FieldValueForbidden',
            message: 'Forbidden: should not be set when strategy is not set to Webhook',
          },
        ];
  }
  return webhookErrors(value.webhook, field);
}

export function validateCrd(object: CustomResourceDefinition): FieldError[] {
  return [...checkCrd(object), ...approvalErrors(object, undefined)];
}

/** An approval that has not changed is not looked at: validateAPIApproval. */
function approvalErrors(object: CustomResourceDefinition, old: CustomResourceDefinition | undefined): FieldError[] {
  const approval = approvalOf(object);
  if (approval === undefined || (old !== undefined && approvalOf(old)?.state === approval.state)) return [];
  const field = `metadata.annotations[${approvalAnnotation}]`;
  if (approval.state === 'Missing') return [fieldRequired(field, approval.message)];
  return approval.state === 'Invalid' ? [fieldInvalid(field, object.metadata.annotations?.[approvalAnnotation], approval.message)] : [];
}

function checkCrd(object: CustomResourceDefinition): FieldError[] {
  const { spec } = object;
  const errors: FieldError[] = [];
  const name = `${spec.names.plural}.${spec.group}`;
  if (object.metadata.name !== name) {
    errors.push(fieldInvalid('metadata.name', object.metadata.name ?? '', 'must be spec.names.plural+"."+spec.group'));
  }
  if (spec.group === '') errors.push(fieldRequired('spec.group'));
  else {
    errors.push(...fieldProblems('spec.group', spec.group, isDns1123Subdomain(spec.group)));
    if (!spec.group.includes('.')) errors.push(fieldInvalid('spec.group', spec.group, 'should be a domain with at least one dot'));
  }
  if (spec.scope === '') errors.push(fieldRequired('spec.scope'));
  else if (spec.scope !== 'Cluster' && spec.scope !== 'Namespaced')
    errors.push(fieldNotSupported('spec.scope', spec.scope, ['Cluster', 'Namespaced']));
  if (spec.preserveUnknownFields === true) {
    errors.push(
      fieldInvalid(
        'spec.preserveUnknownFields',
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    );
  }
  return [...errors, ...versions('spec.versions', spec), ...names('spec.names', spec), ...conversion('spec.conversion', spec)];
}

export function validateCrdUpdate(object: CustomResourceDefinition, old: CustomResourceDefinition): FieldError[] {
  const errors = [...checkCrd(object), ...approvalErrors(object, old)];
  const established = old.status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True') === true;
  errors.push(
    ...immutable('spec.group', object.spec.group, old.spec.group),
    ...immutable('spec.names.plural', object.spec.names.plural, old.spec.names.plural),
  );
  if (established) {
    errors.push(
      ...immutable('spec.scope', object.spec.scope, old.spec.scope),
      ...immutable('spec.names.kind', object.spec.names.kind, old.spec.names.kind),
    );
  }
  return [...errors, ...storedVersionErrors(object)];
}

/** Versions in which objects may be stored: ValidateCustomResourceDefinitionStoredVersions. */
function storedVersionErrors(object: CustomResourceDefinition): FieldError[] {
  const stored = object.status?.storedVersions ?? [];
  const field = 'status.storedVersions';
  if (stored.length === 0) return [fieldInvalid(field, stored, 'must have at least one stored version')];
  const storage = object.spec.versions.find((v) => v.storage);
  const errors: FieldError[] = [];
  if (storage !== undefined && !stored.includes(storage.name))
    errors.push(fieldInvalid(field, stored, `must have the storage version ${storage.name}`));
  for (const [i, v] of stored.entries()) {
    if (object.spec.versions.some((version) => version.name === v)) continue;
    const why = `missing from spec.versions; ${v} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${v} and removes ${v} from status.storedVersions`;
    errors.push(fieldInvalid(`${field}[${i}]`, v, why));
  }
  return errors;
}

/** What only an update of the status may change. */
export const validateCrdStatusUpdate = (object: CustomResourceDefinition): FieldError[] => storedVersionErrors(object);
