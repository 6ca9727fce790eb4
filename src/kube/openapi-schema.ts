/** Schemas as OpenAPI v2 definitions and v3 components, with the extensions that clients use (x-kubernetes-*). */
import type { Schema, SchemaValidations } from './schema.ts';
import { definition, resolveSchema } from './schema-registry.ts';

export type Dialect = 'v2' | 'v3';
export type Json = { [field: string]: unknown };
export type Descriptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The definitions of a document while it is made: those referred to are added until there are no new ones. */
export interface DefinitionSet {
  readonly dialect: Dialect;
  readonly descriptions: Descriptions;
  readonly rendered: Map<string, Json>;
  readonly pending: string[];
}

const metaPrefix = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

/** Types that Go marshals in their own way: the format in Schema and the definition that describes it. */
const special: Readonly<Record<string, string>> = {
  'date-time': `${metaPrefix}Time`,
  'micro-time': `${metaPrefix}MicroTime`,
  duration: `${metaPrefix}Duration`,
  'fields-v1': `${metaPrefix}FieldsV1`,
  quantity: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
  'int-or-string': 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
  raw: 'io.k8s.apimachinery.pkg.runtime.RawExtension',
  json: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON',
  'json-schema-or-array': 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray',
  'json-schema-or-bool': 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool',
  'json-schema-or-string-array': 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray',
};

const specialBody: Readonly<Record<string, Readonly<Record<Dialect, Json>>>> = {
  'date-time': both({ description: 'A time in RFC 3339 form, to the second.', type: 'string', format: 'date-time' }),
  'micro-time': both({ description: 'A time in RFC 3339 form, to the microsecond.', type: 'string', format: 'date-time' }),
  duration: both({ description: 'A span of time as Go writes it, such as 1h30m.', type: 'string' }),
  'fields-v1': both({
    description: 'A set of fields, as a trie in JSON: keys are f:<name>, k:<keys>, v:<value> and i:<index>.',
    type: 'object',
  }),
  raw: both({ description: 'An object of any kind.', type: 'object' }),
  json: both({ description: 'Any valid JSON value.' }),
  'json-schema-or-array': both({ description: 'A JSON schema, or an array of JSON schemas.' }),
  'json-schema-or-bool': both({ description: 'A JSON schema, or a boolean.' }),
  'json-schema-or-string-array': both({ description: 'A JSON schema, or an array of strings.' }),
  quantity: {
    v2: { description: 'An amount: a decimal number with an optional suffix, such as 100m, 1.5 or 2Gi.', type: 'string' },
    v3: {
      description: 'An amount: a decimal number with an optional suffix, such as 100m, 1.5 or 2Gi.',
      oneOf: [{ type: 'string' }, { type: 'number' }],
    },
  },
  'int-or-string': {
    v2: { description: 'A whole number, or a string (a percentage or a name).', type: 'string', format: 'int-or-string' },
    v3: {
      description: 'A whole number, or a string (a percentage or a name).',
      format: 'int-or-string',
      oneOf: [{ type: 'integer' }, { type: 'string' }],
    },
  },
};

function both(body: Json): Readonly<Record<Dialect, Json>> {
  return { v2: body, v3: body };
}

export const newDefinitionSet = (dialect: Dialect, descriptions: Descriptions): DefinitionSet => ({
  dialect,
  descriptions,
  rendered: new Map(),
  pending: [],
});

/** A `$ref` to a definition, which is noted as wanted. */
export function refTo(name: string, set: DefinitionSet): string {
  if (!set.rendered.has(name)) {
    set.rendered.set(name, {});
    set.pending.push(name);
  }
  return set.dialect === 'v2' ? `#/definitions/${name}` : `#/components/schemas/${name}`;
}

/** Renders every definition that was referred to, and what those refer to. */
export function renderPending(set: DefinitionSet): void {
  for (let name = set.pending.pop(); name !== undefined; name = set.pending.pop()) {
    const format = Object.entries(special).find(([, special]) => special === name)?.[0];
    const body = format === undefined ? undefined : specialBody[format]?.[set.dialect];
    const schema = definition(name);
    if (body !== undefined) set.rendered.set(name, body);
    else if (schema !== undefined) set.rendered.set(name, renderDefinition(schema, set, set.descriptions[name] ?? {}));
  }
}

/** The body of a definition: a struct's fields with their descriptions. */
export function renderDefinition(schema: Schema, set: DefinitionSet, texts: Readonly<Record<string, string>>): Json {
  const properties = Object.entries(schema.properties ?? {}).map(
    ([name, property]) => [name, renderProperty(property, set, texts[name] ?? property.description)] as const,
  );
  return {
    ...(texts[''] === undefined || texts[''] === '' ? {} : { description: texts[''] }),
    type: 'object',
    ...(properties.length === 0 ? {} : { properties: Object.fromEntries(properties) }),
    ...(schema.required === undefined ? {} : { required: schema.required }),
    ...(schema.mapType === undefined ? {} : { 'x-kubernetes-map-type': schema.mapType }),
    ...(schema.gvk === undefined ? {} : { 'x-kubernetes-group-version-kind': [schema.gvk] }),
  };
}

/**
 * One field of a built-in type. The client that the descriptions come from has none for fields that hold another type:
 * v3, which "kubectl explain" reads, says of them what it says of the type.
 */
function renderProperty(schema: Schema, set: DefinitionSet, description: string | undefined): Json {
  const target = schema.ref ?? (schema.format === undefined || schema.format === 'byte' ? undefined : special[schema.format]);
  const known = description ?? (set.dialect === 'v3' && schema.ref !== undefined ? set.descriptions[schema.ref]?.[''] : undefined);
  const text = known === undefined || known === '' ? {} : { description: known };
  const rest = { ...text, ...defaultOf(schema, set), ...extensions(schema) };
  if (target !== undefined) {
    const ref = { $ref: refTo(target, set) };
    if (set.dialect === 'v2') return { ...ref, ...text, ...extensions(schema) };
    return Object.keys(rest).length === 0 ? ref : { allOf: [ref], ...rest };
  }
  return { ...rest, ...typeOf(schema), ...containerOf(schema, set) };
}

function containerOf(schema: Schema, set: DefinitionSet): Json {
  if (schema.type === 'array') return { items: renderProperty(schema.items ?? {}, set, '') };
  if (typeof schema.additionalProperties === 'object')
    return { additionalProperties: renderProperty(schema.additionalProperties, set, '') };
  return {};
}

function typeOf(schema: Schema): Json {
  return {
    ...(schema.type === undefined ? {} : { type: schema.type }),
    ...(schema.format === undefined ? {} : { format: schema.format }),
    ...(schema.enum === undefined ? {} : { enum: schema.enum }),
  };
}

/** v3 documents carry defaults: declared ones, and the empty object of structs that are no pointers. */
function defaultOf(schema: Schema, set: DefinitionSet): Json {
  if (set.dialect === 'v2') return {};
  if (schema.default !== undefined) return { default: schema.default };
  if (schema.ref !== undefined && schema.pointer !== true && resolveSchema(schema).type === 'object') return { default: {} };
  return {};
}

function extensions(schema: Schema): Json {
  return {
    ...(schema.listType === undefined ? {} : { 'x-kubernetes-list-type': schema.listType }),
    ...(schema.listMapKeys === undefined ? {} : { 'x-kubernetes-list-map-keys': schema.listMapKeys }),
    ...(schema.mapType === undefined ? {} : { 'x-kubernetes-map-type': schema.mapType }),
    ...(schema.patchStrategy === undefined ? {} : { 'x-kubernetes-patch-strategy': schema.patchStrategy.join(',') }),
    ...(schema.patchMergeKey === undefined ? {} : { 'x-kubernetes-patch-merge-key': schema.patchMergeKey }),
  };
}

/** A schema of a custom resource, with its validations. `v2` leaves out what that version of OpenAPI cannot say. */
export function renderCustom(schema: Schema, set: DefinitionSet): Json {
  if (schema.ref !== undefined) return renderProperty(schema, set, schema.description);
  const intOrString = schema.format === 'int-or-string' && schema.type === undefined;
  const properties = Object.entries(schema.properties ?? {}).map(([name, p]) => [name, renderCustom(p, set)] as const);
  const { additionalProperties: more } = schema;
  const open = schema.preserveUnknownFields === true && set.dialect === 'v2';
  return {
    ...(schema.description === undefined ? {} : { description: schema.description }),
    ...(open ? {} : typeOf(intOrString ? { ...schema, format: undefined as never } : schema)),
    ...(properties.length === 0 || open ? {} : { properties: Object.fromEntries(properties) }),
    ...(schema.required === undefined || open ? {} : { required: schema.required }),
    ...(schema.items === undefined ? {} : { items: renderCustom(schema.items, set) }),
    ...(more === undefined ? {} : { additionalProperties: typeof more === 'boolean' ? more : renderCustom(more, set) }),
    ...(schema.default === undefined || set.dialect === 'v2' ? {} : { default: schema.default }),
    ...(schema.nullable === true && set.dialect === 'v3' ? { nullable: true } : {}),
    ...(schema.preserveUnknownFields === true ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
    ...(schema.embeddedResource === true ? { 'x-kubernetes-embedded-resource': true } : {}),
    ...(intOrString ? { 'x-kubernetes-int-or-string': true } : {}),
    ...extensions(schema),
    ...(schema.validations === undefined ? {} : validationsOf(schema.validations, set)),
  };
}

function validationsOf(validations: SchemaValidations, set: DefinitionSet): Json {
  const { allOf, anyOf, oneOf, not, rules, ...plain } = validations;
  const list = (schemas: readonly Schema[] | undefined, name: string): Json =>
    schemas === undefined ? {} : { [name]: schemas.map((s) => renderCustom(s, set)) };
  const composed =
    set.dialect === 'v2'
      ? {}
      : {
          ...list(allOf, 'allOf'),
          ...list(anyOf, 'anyOf'),
          ...list(oneOf, 'oneOf'),
          ...(not === undefined ? {} : { not: renderCustom(not, set) }),
        };
  return { ...plain, ...composed, ...(rules === undefined ? {} : { 'x-kubernetes-validations': rules }) };
}
