/** Defaults in the schema of a definition must fit it: k8s.io/apiextensions-apiserver pkg/apiserver/schema/defaulting/validation.go. */
import { pruneValue } from '#kube/decode.ts';
import { jsonEqual } from '#kube/json-value.ts';
import type { Schema } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid } from '#kube/validation/field-error.ts';
import { embeddedErrors } from './embedded.ts';
import { valueErrors } from './schema-values.ts';

/** Checks every default below a structural schema. */
export function defaultErrors(schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  walk(schema, path, errors);
  return errors;
}

function walk(schema: Schema, path: string, errors: FieldError[]): void {
  if (schema.default !== undefined) errors.push(...errorsOf(schema, schema.default, `${path}.default`));
  for (const [name, property] of Object.entries(schema.properties ?? {})) walk(property, `${path}.properties[${name}]`, errors);
  if (schema.items !== undefined) walk(schema.items, `${path}.items`, errors);
  if (typeof schema.additionalProperties === 'object') walk(schema.additionalProperties, `${path}.additionalProperties`, errors);
}

function errorsOf(schema: Schema, value: unknown, field: string): FieldError[] {
  // Only fields of an object are pruned, so the value is looked at as one.
  const holder: Schema = { type: 'object', custom: true, properties: { value: schema } };
  const pruned = pruneValue(holder, { value }) as { readonly value?: unknown };
  if (value !== null && !jsonEqual(pruned.value, value)) return [fieldInvalid(field, value, 'must not have unknown fields')];
  return [
    ...embeddedErrors(holder, { value }).map((e) => ({ ...e, field: `${field}${e.field.slice('value'.length)}` })),
    ...valueErrors(schema, value, field),
  ];
}
