/**
 * A definition as upstream's validation sees it: in the internal version, where what all versions say alike stands once at the top
 * (pkg/apis/apiextensions/v1/conversion.go). Its messages name the fields of that form, and print values with the names of Go's fields.
 */
import type {
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
  JSONSchemaProps,
  ValidationRule,
} from '../generated/apiextensions-v1.ts';
import { isObject, jsonEqual } from '../json-value.ts';

/** What a version says, or the definition for all its versions. */
export interface VersionParts {
  readonly schema: JSONSchemaProps | undefined;
  readonly subresources: CustomResourceDefinitionVersion['subresources'];
  readonly columns: NonNullable<CustomResourceDefinitionVersion['additionalPrinterColumns']>;
  readonly selectableFields: NonNullable<CustomResourceDefinitionVersion['selectableFields']>;
}

export interface InternalVersion extends VersionParts {
  readonly version: CustomResourceDefinitionVersion;
  /** Also where the status is enabled for all versions at once. */
  readonly hasStatus: boolean;
}

export interface InternalSpec {
  readonly shared: VersionParts;
  readonly versions: readonly InternalVersion[];
}

const none: VersionParts = { schema: undefined, subresources: undefined, columns: [], selectableFields: [] };

const partsOf = (v: CustomResourceDefinitionVersion): VersionParts => ({
  schema: v.schema?.openAPIV3Schema,
  subresources: v.subresources,
  columns: v.additionalPrinterColumns ?? [],
  selectableFields: v.selectableFields ?? [],
});

/** Takes what is the same in all versions out of them. */
export function internalSpec(spec: CustomResourceDefinitionSpec): InternalSpec {
  const parts = (spec.versions ?? []).map(partsOf);
  const [first, ...others] = parts;
  if (first === undefined) return { shared: none, versions: [] };
  const same = (key: keyof VersionParts): boolean => others.every((p) => jsonEqual(p[key], first[key]));
  const isShared = {
    schema: same('schema'),
    subresources: same('subresources'),
    columns: same('columns'),
    fields: same('selectableFields'),
  };
  const pick = (p: VersionParts, wanted: boolean): VersionParts => ({
    schema: isShared.schema === wanted ? p.schema : undefined,
    subresources: isShared.subresources === wanted ? p.subresources : undefined,
    columns: isShared.columns === wanted ? p.columns : [],
    selectableFields: isShared.fields === wanted ? p.selectableFields : [],
  });
  const versions = spec.versions.map((version, i) => ({
    ...pick(parts[i] ?? none, false),
    version,
    hasStatus: version.subresources?.status !== undefined,
  }));
  return { shared: pick(first, true), versions };
}

/** Go's fields of JSONSchemaProps in their order, by the name in JSON; `zero` is how the empty value is printed. */
const schemaFields: readonly (readonly [go: string, json: string, zero: unknown])[] = [
  ['ID', 'id', ''],
  ['Schema', '$schema', ''],
  ['Ref', '$ref', null],
  ['Description', 'description', ''],
  ['Type', 'type', ''],
  ['Nullable', 'nullable', false],
  ['Format', 'format', ''],
  ['Title', 'title', ''],
  ['Default', 'default', null],
  ['Maximum', 'maximum', null],
  ['ExclusiveMaximum', 'exclusiveMaximum', false],
  ['Minimum', 'minimum', null],
  ['ExclusiveMinimum', 'exclusiveMinimum', false],
  ['MaxLength', 'maxLength', null],
  ['MinLength', 'minLength', null],
  ['Pattern', 'pattern', ''],
  ['MaxItems', 'maxItems', null],
  ['MinItems', 'minItems', null],
  ['UniqueItems', 'uniqueItems', false],
  ['MultipleOf', 'multipleOf', null],
  ['Enum', 'enum', null],
  ['MaxProperties', 'maxProperties', null],
  ['MinProperties', 'minProperties', null],
  ['Required', 'required', null],
  ['Items', 'items', null],
  ['AllOf', 'allOf', null],
  ['OneOf', 'oneOf', null],
  ['AnyOf', 'anyOf', null],
  ['Not', 'not', null],
  ['Properties', 'properties', null],
  ['AdditionalProperties', 'additionalProperties', null],
  ['PatternProperties', 'patternProperties', null],
  ['Dependencies', 'dependencies', null],
  ['AdditionalItems', 'additionalItems', null],
  ['Definitions', 'definitions', null],
  ['ExternalDocs', 'externalDocs', null],
  ['Example', 'example', null],
  ['XPreserveUnknownFields', 'x-kubernetes-preserve-unknown-fields', null],
  ['XEmbeddedResource', 'x-kubernetes-embedded-resource', false],
  ['XIntOrString', 'x-kubernetes-int-or-string', false],
  ['XListMapKeys', 'x-kubernetes-list-map-keys', null],
  ['XListType', 'x-kubernetes-list-type', null],
  ['XMapType', 'x-kubernetes-map-type', null],
  ['XValidations', 'x-kubernetes-validations', null],
];

/** What the root of a schema may say beside a status subresource: allowedFieldsAtRootSchema. */
const allowedAtRoot = [
  'Description',
  'Type',
  'Format',
  'Title',
  'Maximum',
  'ExclusiveMaximum',
  'Minimum',
  'ExclusiveMinimum',
  'MaxLength',
  'MinLength',
  'Pattern',
  'MaxItems',
  'MinItems',
  'UniqueItems',
  'MultipleOf',
  'Required',
  'Items',
  'Properties',
  'ExternalDocs',
  'Example',
  'XPreserveUnknownFields',
  'XValidations',
];

const isZero = (value: unknown): boolean => value === undefined || value === false || value === '';

/** True when the root of a schema says what a status subresource does not allow there; `why` is told of it. */
export const hasMoreThanAllowedAtRoot = (schema: JSONSchemaProps): boolean =>
  schemaFields.some(([go, json]) => !allowedAtRoot.includes(go) && !isZero(schema[json as keyof JSONSchemaProps]));
export const allowedAtRootText = `only [${allowedAtRoot.join(' ')}] fields are allowed at the root of the schema if the status subresource is enabled`;

const asSchema = (value: unknown): unknown => (isObject(value) ? goSchema(value as JSONSchemaProps) : null);
const orBool = (value: unknown): unknown => ({ Allows: value !== false, Schema: asSchema(value) });

/** Fields that hold schemas, and how Go prints them. */
const holders: Readonly<Record<string, (value: unknown) => unknown>> = {
  not: asSchema,
  allOf: (value) => (value as readonly unknown[]).map(asSchema),
  oneOf: (value) => (value as readonly unknown[]).map(asSchema),
  anyOf: (value) => (value as readonly unknown[]).map(asSchema),
  items: (value) => ({ Schema: asSchema(value), JSONSchemas: Array.isArray(value) ? value.map(asSchema) : null }),
  additionalProperties: orBool,
  additionalItems: orBool,
  properties: mapOf,
  patternProperties: mapOf,
  definitions: mapOf,
  externalDocs: (value) => ({ Description: '', URL: '', ...goNames(value, { description: 'Description', url: 'URL' }) }),
  'x-kubernetes-validations': (value) => (value as readonly ValidationRule[]).map(goRule),
};

function mapOf(value: unknown): unknown {
  const entries = Object.entries(value as Readonly<Record<string, unknown>>).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, asSchema(inner)]));
}

const goNames = (value: unknown, names: Readonly<Record<string, string>>): object =>
  Object.fromEntries(Object.entries(value as object).map(([key, inner]) => [names[key] ?? key, inner as unknown]));

/** A schema as Go's encoding/json prints the internal type, which has no names for JSON. */
export function goSchema(schema: JSONSchemaProps): unknown {
  return Object.fromEntries(
    schemaFields.map(([go, json, zero]) => {
      const value = schema[json as keyof JSONSchemaProps];
      return [go, value === undefined ? zero : (holders[json]?.(value) ?? value)];
    }),
  );
}

/** A rule as goSchema prints it. */
export const goRule = (r: ValidationRule): unknown => ({
  Rule: r.rule,
  Message: r.message ?? '',
  MessageExpression: r.messageExpression ?? '',
  Reason: r.reason ?? null,
  FieldPath: r.fieldPath ?? '',
  OptionalOldSelf: r.optionalOldSelf ?? null,
});

/** The versions of a definition as Go prints them. */
export const goVersions = (spec: InternalSpec): unknown =>
  spec.versions.length === 0
    ? null
    : spec.versions.map(({ version: v, schema, subresources, columns, selectableFields }) => ({
        Name: v.name,
        Served: v.served,
        Storage: v.storage,
        Deprecated: v.deprecated ?? false,
        DeprecationWarning: v.deprecationWarning ?? null,
        Schema: schema === undefined ? null : { OpenAPIV3Schema: goSchema(schema) },
        Subresources:
          subresources === undefined
            ? null
            : { Status: subresources.status ?? null, Scale: subresources.scale === undefined ? null : goScale(subresources.scale) },
        AdditionalPrinterColumns:
          columns.length === 0
            ? null
            : columns.map((c) => ({
                Name: c.name,
                Type: c.type,
                Format: c.format ?? '',
                Description: c.description ?? '',
                Priority: c.priority ?? 0,
                JSONPath: c.jsonPath,
              })),
        SelectableFields: selectableFields.length === 0 ? null : selectableFields.map((f) => ({ JSONPath: f.jsonPath })),
      }));

type Scale = NonNullable<NonNullable<CustomResourceDefinitionVersion['subresources']>['scale']>;

const goScale = (scale: Scale): unknown => ({
  SpecReplicasPath: scale.specReplicasPath,
  StatusReplicasPath: scale.statusReplicasPath,
  LabelSelectorPath: scale.labelSelectorPath ?? null,
});
