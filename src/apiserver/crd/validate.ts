/** Custom objects that are written: k8s.io/apiextensions-apiserver pkg/registry/customresource/{strategy,status_strategy,validator}.go. */
import type { CustomResourceSubresourceScale } from '#kube/generated/apiextensions-v1.ts';
import type { KubeObject } from '#kube/object.ts';
import type { Schema } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import { embeddedErrors } from './embedded.ts';
import type { CompiledSchema } from './kind.ts';
import { listTypeErrors } from './list-types.ts';
import { scaleSpecErrors, scaleStatusErrors } from './scale-values.ts';
import { valueErrors } from './schema-values.ts';

/** What is blocked by these is not checked by rules: the rules may rely on it. */
const blocking = new Set<FieldError['type']>([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

const rulesNotRun: FieldError = {
  field: '<nil>',
  type: 'FieldValueInvalid',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
};

type Scale = CustomResourceSubresourceScale | undefined;

/** Metadata is checked by the server and, where the definition restricts names, by a schema of its own. */
function withoutMetadata(schema: Schema): Schema {
  if (schema.properties === undefined || !Object.hasOwn(schema.properties, 'metadata')) return schema;
  const { metadata: _metadata, ...properties } = schema.properties;
  return { ...schema, properties };
}

/** Checks an object and its rules. `old`: the object before an update. */
export function validateCustom(compiled: CompiledSchema, scale: Scale, object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const { schema, metadata } = compiled;
  const errors = valueErrors(withoutMetadata(schema), object, '', old && { value: old });
  if (metadata !== undefined)
    errors.push(
      ...valueErrors(
        { type: 'object', properties: { metadata } },
        { metadata: object.metadata },
        '',
        old && { value: { metadata: old.metadata } },
      ),
    );
  errors.push(...scaleSpecErrors(scale, object), ...scaleStatusErrors(scale, object), ...embeddedErrors(schema, object));
  return withRules(compiled, errors, object, old);
}

/** Checks what a write of the status may change, and the rules of the whole object. */
export function validateCustomStatus(compiled: CompiledSchema, scale: Scale, object: KubeObject, old: KubeObject): FieldError[] {
  const schema = compiled.schema.properties?.['status'];
  const statusOf = (o: KubeObject): unknown => (o as { readonly status?: unknown }).status;
  const status = statusOf(object);
  const before = statusOf(old);
  const errors =
    schema === undefined || status === undefined
      ? []
      : valueErrors(schema, status, 'status', before === undefined ? undefined : { value: before });
  errors.push(...scaleStatusErrors(scale, object));
  return withRules(compiled, errors, object, old);
}

function withRules(compiled: CompiledSchema, errors: FieldError[], object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const { schema, rules } = compiled;
  const lists = listTypeErrors(schema, object);
  // Sets and maps that had twins before an update may have them after.
  if (lists.length > 0 && (old === undefined || listTypeErrors(schema, old).length === 0)) errors.push(...lists);
  if (!errors.some((e) => blocking.has(e.type))) errors.push(...rules().validate(object, old));
  else if (rules().hasRules) errors.push(rulesNotRun);
  return errors;
}
