/** The schema in a CustomResourceDefinition as our Schema, and what is wrong with it (structural schemas). */
import { RE2JS } from 're2js';
import type { JSONSchemaProps, ValidationRule } from '#kube/generated/apiextensions-v1.ts';
import type { Schema, SchemaValidations } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';

type Props = JSONSchemaProps;

/** Nesting beyond this is refused. */
const maxDepth = 100;

/** The root schema of a custom resource. */
export function customSchema(props: Props | undefined, preserveUnknown: boolean): Schema {
  const root = props === undefined ? { preserveUnknownFields: true } : convert(props, 0);
  return { ...root, type: 'object', custom: true, ...(preserveUnknown ? { preserveUnknownFields: true } : {}) };
}

/** What a definition says of metadata: it may restrict name and generateName. */
export function metadataSchema(props: Props | undefined): Schema | undefined {
  const metadata = props?.properties?.['metadata'];
  return metadata === undefined ? undefined : convert(metadata, 0);
}

const types = new Set(['object', 'array', 'string', 'integer', 'number', 'boolean']);

function convert(p: Props, depth: number): Schema {
  if (depth > maxDepth) return {};
  const below = (inner: Props): Schema => convert(inner, depth + 1);
  const intOrString = p['x-kubernetes-int-or-string'] === true;
  const validations = validationsOf(p, below);
  const items = p.items as Props | undefined;
  const extra = p.additionalProperties as Props | boolean | undefined;
  return {
    ...(p.type !== undefined && types.has(p.type) && !intOrString ? { type: p.type as NonNullable<Schema['type']> } : {}),
    ...(intOrString ? { format: 'int-or-string' } : p.format === undefined ? {} : { format: p.format }),
    ...(p.properties === undefined ? {} : { properties: mapValues(p.properties, below) }),
    ...(extra === undefined ? {} : { additionalProperties: typeof extra === 'boolean' ? extra : below(extra) }),
    ...(items === undefined || Array.isArray(items) ? {} : { items: below(items) }),
    ...(p.required === undefined ? {} : { required: p.required }),
    ...(p.enum === undefined ? {} : { enum: p.enum }),
    ...(p.default === undefined ? {} : { default: p.default }),
    ...(p.nullable === true ? { nullable: true } : {}),
    ...(p['x-kubernetes-preserve-unknown-fields'] === true ? { preserveUnknownFields: true } : {}),
    ...(p['x-kubernetes-embedded-resource'] === true ? { embeddedResource: true } : {}),
    ...(p['x-kubernetes-list-type'] === undefined ? {} : { listType: p['x-kubernetes-list-type'] as NonNullable<Schema['listType']> }),
    ...(p['x-kubernetes-list-map-keys'] === undefined ? {} : { listMapKeys: p['x-kubernetes-list-map-keys'] }),
    ...(p['x-kubernetes-map-type'] === undefined ? {} : { mapType: p['x-kubernetes-map-type'] as NonNullable<Schema['mapType']> }),
    ...(p.description === undefined ? {} : { description: p.description }),
    ...(validations === undefined ? {} : { validations }),
  };
}

const mapValues = <A, B>(object: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));

const plainValidations = [
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
] as const;

function validationsOf(p: Props, below: (inner: Props) => Schema): SchemaValidations | undefined {
  const found: Record<string, unknown> = {};
  for (const key of plainValidations) if (p[key] !== undefined) found[key] = p[key];
  for (const key of ['allOf', 'anyOf', 'oneOf'] as const) if (p[key] !== undefined) found[key] = p[key].map(below);
  if (p.not !== undefined) found['not'] = below(p.not);
  const rules = p['x-kubernetes-validations'] as readonly ValidationRule[] | undefined;
  if (rules !== undefined && rules.length > 0) found['rules'] = rules;
  return Object.keys(found).length === 0 ? undefined : (found as SchemaValidations);
}

/** What makes a schema not structural, and what v1 definitions may not hold. */
export function schemaErrors(props: Props, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (props.type !== 'object')
    errors.push(
      props.type === undefined
        ? fieldRequired(`${path}.type`, 'must not be empty at the root')
        : fieldInvalid(`${path}.type`, props.type, 'must be object at the root'),
    );
  check(props, path, errors, 0, true);
  return errors;
}

function check(p: Props, path: string, errors: FieldError[], depth: number, root: boolean): void {
  if (depth > maxDepth) {
    errors.push(fieldInvalid(path, '', 'the schema is nested too deep'));
    return;
  }
  const intOrString = p['x-kubernetes-int-or-string'] === true;
  const open = p['x-kubernetes-preserve-unknown-fields'] === true;
  if (!root && (p.type ?? '') === '' && !intOrString && !open)
    errors.push(fieldRequired(`${path}.type`, 'must not be empty for specified object fields'));
  if (p.type !== undefined && p.type !== '' && !types.has(p.type))
    errors.push(fieldInvalid(`${path}.type`, p.type, 'must be one of array, boolean, integer, number, object, string'));
  forbidden(p, path, errors);
  if (p.type === 'array' && p.items === undefined) errors.push(fieldRequired(`${path}.items`, 'must be specified'));
  if (Array.isArray(p.items)) errors.push(fieldForbidden(`${path}.items`, 'items must be a schema object and not an array'));
  else if (p.items !== undefined) check(p.items as Props, `${path}.items`, errors, depth + 1, false);
  if (p.properties !== undefined && p.additionalProperties !== undefined && p.additionalProperties !== false)
    errors.push(fieldForbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'));
  if (typeof p.additionalProperties === 'object' && p.additionalProperties !== null)
    check(p.additionalProperties as Props, `${path}.additionalProperties`, errors, depth + 1, false);
  for (const [name, property] of Object.entries(p.properties ?? {})) {
    if (root && name === 'metadata') continue;
    check(
      property,
      `${path}.properties[${name}]`,
      errors,
      depth + 1,
      root && (name === 'apiVersion' || name === 'kind') && property.type === undefined,
    );
  }
  checkLists(p, path, errors);
}

function forbidden(p: Props, path: string, errors: FieldError[]): void {
  if (p.$ref !== undefined) errors.push(fieldForbidden(`${path}.$ref`, '$ref is not supported'));
  if (p.uniqueItems === true)
    errors.push(fieldForbidden(`${path}.uniqueItems`, 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'));
  for (const key of ['definitions', 'dependencies', 'additionalItems', 'patternProperties', 'id'] as const)
    if (p[key] !== undefined && p[key] !== false) errors.push(fieldForbidden(`${path}.${key}`, `${key} is not supported`));
  if (p.additionalProperties === false)
    errors.push(fieldForbidden(`${path}.additionalProperties`, 'additionalProperties cannot be set to false'));
  if (p.pattern !== undefined && compilePattern(p.pattern) === undefined)
    errors.push(fieldInvalid(`${path}.pattern`, p.pattern, "must be a valid regular expression, but isn't"));
  if (p['x-kubernetes-embedded-resource'] === true && p.type !== 'object')
    errors.push(fieldInvalid(`${path}.type`, p.type ?? '', 'must be object if x-kubernetes-embedded-resource is true'));
  if (p['x-kubernetes-embedded-resource'] === true && p.properties === undefined && p['x-kubernetes-preserve-unknown-fields'] !== true)
    errors.push(
      fieldRequired(
        `${path}.properties`,
        'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
      ),
    );
}

function checkLists(p: Props, path: string, errors: FieldError[]): void {
  const type = p['x-kubernetes-list-type'];
  const keys = p['x-kubernetes-list-map-keys'] ?? [];
  if (type === undefined) {
    if (keys.length > 0)
      errors.push(fieldInvalid(`${path}.x-kubernetes-list-type`, '', 'must be map if x-kubernetes-list-map-keys is non-empty'));
    return;
  }
  if (type !== 'atomic' && type !== 'set' && type !== 'map')
    errors.push(fieldInvalid(`${path}.x-kubernetes-list-type`, type, 'must be either "atomic", "set" or "map"'));
  if (p.type !== 'array') errors.push(fieldInvalid(`${path}.type`, p.type ?? '', 'must be array if x-kubernetes-list-type is specified'));
  if (type === 'map' && keys.length === 0)
    errors.push(fieldRequired(`${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'));
}

/** The same few patterns stand in most schemas, and compiling one takes as long as checking a hundred fields. */
const compiled = new Map<string, RE2JS | undefined>();
const maxCompiled = 500;

/** A pattern of the schema; undefined where it is none. RE2 as in Go: no pattern takes more than linear time. */
export function compilePattern(pattern: string): RE2JS | undefined {
  if (compiled.has(pattern)) return compiled.get(pattern);
  const made = compileFresh(pattern);
  for (const oldest of compiled.keys()) {
    if (compiled.size < maxCompiled) break;
    compiled.delete(oldest);
  }
  compiled.set(pattern, made);
  return made;
}

function compileFresh(pattern: string): RE2JS | undefined {
  try {
    return RE2JS.compile(pattern);
  } catch {
    return undefined;
  }
}
