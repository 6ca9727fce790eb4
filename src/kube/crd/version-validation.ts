/** What versions of a CustomResourceDefinition say beside their schemas: pkg/apis/apiextensions/validation/validation.go. */
import type { CustomResourceColumnDefinition, CustomResourceDefinitionVersion, JSONSchemaProps } from '../generated/apiextensions-v1.ts';
import type { FieldError } from '../status-error.ts';
import { fieldDuplicate, fieldInvalid, fieldRequired, fieldTooMany } from '../validation/field-error.ts';
import { fieldPath } from './field-path.ts';
import type { VersionParts } from './internal.ts';

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];
const maxSelectableFields = 8;
const maxWarningBytes = 256;

const simplePath = (path: string, field: string): FieldError[] =>
  path.startsWith('.') ? [] : [fieldInvalid(field, path, 'must be a simple json path starting with .')];

/** Scale: ValidateCustomResourceDefinitionSubresources. */
export function scaleErrors(subresources: VersionParts['subresources'], at: string): FieldError[] {
  const scale = subresources?.scale;
  if (scale === undefined) return [];
  const under = (path: string, field: string, roots: readonly string[], where: string): FieldError[] => {
    const errors = simplePath(path, field);
    if (errors.length > 0) return errors;
    return roots.some((root) => path.startsWith(`${root}.`)) ? [] : [fieldInvalid(field, path, `should be a json path under ${where}`)];
  };
  const required = (path: string, name: string, root: string): FieldError[] =>
    path === '' ? [fieldRequired(`${at}.scale.${name}`)] : under(path, `${at}.scale.${name}`, [root], root);
  const { specReplicasPath, statusReplicasPath, labelSelectorPath = '' } = scale;
  return [
    ...required(specReplicasPath, 'specReplicasPath', '.spec'),
    ...required(statusReplicasPath, 'statusReplicasPath', '.status'),
    ...(labelSelectorPath === ''
      ? []
      : under(labelSelectorPath, `${at}.scale.labelSelectorPath`, ['.spec', '.status'], 'either .spec or .status')),
  ];
}

/** One printer column: ValidateCustomResourceColumnDefinition. Whether its path can be read is not asked. */
export function columnErrors({ name, type, format = '', jsonPath }: CustomResourceColumnDefinition, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const types = `must be one of ${columnTypes.join(',')}`;
  if (name === '') errors.push(fieldRequired(`${field}.name`));
  if (type === '') errors.push(fieldRequired(`${field}.type`, types));
  else if (!columnTypes.includes(type)) errors.push(fieldInvalid(`${field}.type`, type, types));
  if (format !== '' && !columnFormats.includes(format))
    errors.push(fieldInvalid(`${field}.format`, format, `must be one of ${columnFormats.join(',')}`));
  errors.push(...(jsonPath === '' ? [fieldRequired(`${field}.JSONPath`)] : simplePath(jsonPath, `${field}.JSONPath`)));
  return errors;
}

const selectableTypes = new Set(['string', 'boolean', 'integer']);

/** ValidateCustomResourceSelectableFields. `mayBeMany`: there were as many before. */
export function selectableErrors(
  fields: VersionParts['selectableFields'],
  schema: JSONSchemaProps,
  at: string,
  mayBeMany: boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [i, { jsonPath }] of fields.entries()) {
    const field = `${at}[${i}].jsonPath`;
    const found = jsonPath === '' ? undefined : fieldPath(jsonPath, schema, false);
    if (found === undefined) errors.push(fieldRequired(field));
    else if ('problem' in found) errors.push(fieldInvalid(field, jsonPath, `is an invalid path: ${found.problem}`));
    else {
      const key = found.steps.join('.');
      if (found.steps[0] === 'metadata') errors.push(fieldInvalid(field, jsonPath, 'must not point to fields in metadata'));
      if (!selectableTypes.has(found.schema?.type ?? ''))
        errors.push(
          fieldInvalid(
            field,
            jsonPath,
            'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
          ),
        );
      if (seen.has(key)) errors.push(fieldDuplicate(field, jsonPath));
      seen.add(key);
    }
  }
  if (seen.size > maxSelectableFields && !mayBeMany) errors.push(fieldTooMany(at, seen.size, maxSelectableFields));
  return errors;
}

const notPrintable = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;

/** validateDeprecationWarning. */
export function deprecationErrors({ deprecated, deprecationWarning: text }: CustomResourceDefinitionVersion, at: string): FieldError[] {
  if (text === undefined) return [];
  const problems: string[] = [];
  const odd = notPrintable.exec(text);
  if (deprecated !== true) problems.push('can only be set for deprecated versions');
  else {
    if (Buffer.byteLength(text) > maxWarningBytes) problems.push(`must be <= ${maxWarningBytes} characters long`);
    if (text === '') problems.push('must not be an empty string');
    if (odd !== null) {
      const index = Buffer.byteLength(text.slice(0, odd.index));
      problems.push(`must only contain printable UTF-8 characters; non-printable character found at index ${index}`);
    }
  }
  return problems.map((why) => fieldInvalid(`${at}.deprecationWarning`, text, why));
}
