/** The schema in a CustomResourceDefinition as our Schema, and what is wrong with it (structural schemas). */
import { RE2JS } from 're2js';
import type { JSONSchemaProps, ValidationRule } from '#kube/generated/apiextensions-v1.ts';
import type { Schema, SchemaValidations } from '#kube/schema.ts';

type Props = JSONSchemaProps;

/** Nesting beyond this is refused. */
export const maxDepth = 100;

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

export const schemaTypes = new Set(['object', 'array', 'string', 'integer', 'number', 'boolean']);

function convert(p: Props, depth: number): Schema {
  if (depth > maxDepth) return {};
  const below = (inner: Props): Schema => convert(inner, depth + 1);
  const intOrString = p['x-kubernetes-int-or-string'] === true;
  const validations = validationsOf(p, below);
  const items = p.items as Props | undefined;
  const extra = p.additionalProperties as Props | boolean | undefined;
  return {
    ...(p.type !== undefined && schemaTypes.has(p.type) && !intOrString ? { type: p.type as NonNullable<Schema['type']> } : {}),
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

/** The same few patterns stand in most schemas, and compiling one takes as long as checking a hundred fields. */
const compiled = new Map<string, RE2JS | { readonly problem: string }>();
const maxCompiled = 500;

/** A pattern of the schema; undefined where it is none. RE2 as in Go: no pattern takes more than linear time. */
export function compilePattern(pattern: string): RE2JS | undefined {
  const found = patternOf(pattern);
  return 'problem' in found ? undefined : found;
}

/** Why a text is no pattern, in the words of Go's regexp; undefined where it is one. */
export function patternProblem(pattern: string): string | undefined {
  const found = patternOf(pattern);
  return 'problem' in found ? found.problem : undefined;
}

function patternOf(pattern: string): RE2JS | { readonly problem: string } {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const made = compileFresh(pattern);
  for (const oldest of compiled.keys()) {
    if (compiled.size < maxCompiled) break;
    compiled.delete(oldest);
  }
  compiled.set(pattern, made);
  return made;
}

function compileFresh(pattern: string): RE2JS | { readonly problem: string } {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
