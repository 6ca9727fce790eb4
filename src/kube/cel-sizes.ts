/**
 * How large values may be, judged by their schema (k8s.io/apiserver pkg/cel/common SchemaDeclType, pkg/cel/limits.go): by maxLength,
 * maxItems and maxProperties, else by what fits into a request.
 */
import { celName } from './cel-type.ts';
import type { Schema } from './schema.ts';

export type SizedKind = 'list' | 'map' | 'object' | 'string' | 'bytes' | 'bool' | 'int' | 'double' | 'timestamp' | 'duration' | 'dyn';

export interface Sized {
  readonly kind: SizedKind;
  /** Items, entries, characters or bytes at most; 0 for what has no size. */
  readonly max: number;
  /** The fewest bytes of JSON that a value takes. */
  readonly minBytes: number;
  /** Of a list its items, of a map its values. */
  readonly element?: Sized;
  /** The field that expressions know by a name. */
  readonly field?: (name: string) => Sized | undefined;
}

/** No request is larger. */
const maxRequestBytes = 3 * 1024 * 1024;
const quotes = 2;
const longestText = maxRequestBytes - quotes;
const bytesOfCharacter = 4;

/** How often a value of a schema can stand in an object where nothing around it has a limit. */
export const maxCardinality = ({ minBytes }: Sized): number => Math.floor(maxRequestBytes / (minBytes + 1));

/** The keys of maps: upstream holds them to cost nothing. */
export const mapKeys: Sized = { kind: 'string', max: 0, minBytes: quotes };

const notNegative = (value: number): number => Math.max(0, value);

const longestChoice = (values: readonly unknown[]): number =>
  values.reduce<number>((longest, v) => (typeof v === 'string' ? Math.max(longest, Buffer.byteLength(v)) : longest), 0);

const formats: Readonly<Record<string, Sized>> = {
  duration: { kind: 'duration', max: 32, minBytes: 3 },
  date: { kind: 'timestamp', max: 12, minBytes: 12 },
  'date-time': { kind: 'timestamp', max: 32, minBytes: 21 },
};

const scalars: Readonly<Record<string, Sized>> = {
  boolean: { kind: 'bool', max: 0, minBytes: 4 },
  integer: { kind: 'int', max: 0, minBytes: 1 },
  number: { kind: 'double', max: 0, minBytes: 1 },
};

function sizedText({ format, validations, enum: choices }: Schema): Sized {
  const known = format !== undefined && Object.hasOwn(formats, format) ? formats[format] : undefined;
  if (known !== undefined) return known;
  const maxLength = validations?.maxLength;
  if (format === 'byte') return { kind: 'bytes', max: maxLength === undefined ? longestText : notNegative(maxLength), minBytes: quotes };
  const unlimited = choices === undefined || choices.length === 0 ? longestText : longestChoice(choices);
  return { kind: 'string', max: maxLength === undefined ? unlimited : notNegative(maxLength) * bytesOfCharacter, minBytes: quotes };
}

const text: Sized = { kind: 'string', max: longestText, minBytes: quotes };
const objectMeta: Sized = {
  kind: 'object',
  max: 0,
  minBytes: 2,
  field: (name) => (name === 'name' || name === 'generateName' ? text : undefined),
};

/** Judges schemas; each once. */
export interface Sizes {
  /** Undefined: of such values expressions know nothing. `root`: a whole object, whose kind and name are always there. */
  readonly of: (schema: Schema, root?: boolean) => Sized | undefined;
}

export function createSizes(): Sizes {
  const known = new Map<Schema, Sized | undefined>();
  const of = (schema: Schema, root = schema.embeddedResource === true): Sized | undefined => {
    if (root) return sizedObject(schema, true);
    if (!known.has(schema)) known.set(schema, judge(schema));
    return known.get(schema);
  };

  function judge(schema: Schema): Sized | undefined {
    const { type, format, items, additionalProperties: values, validations } = schema;
    if (format === 'int-or-string' && type === undefined) {
      const limit = validations?.maxLength;
      return { kind: 'dyn', max: limit === undefined ? longestText : notNegative(limit) * bytesOfCharacter, minBytes: 1 };
    }
    if (type === undefined) return undefined;
    if (type === 'string') return sizedText(schema);
    if (type === 'array') {
      const element = items === undefined ? undefined : of(items);
      if (element === undefined) return undefined;
      const fitting = Math.floor(longestText / (element.minBytes + 1));
      return { kind: 'list', max: notNegative(validations?.maxItems ?? fitting), minBytes: 2, element };
    }
    if (type !== 'object') return scalars[type];
    if (typeof values !== 'object') return sizedObject(schema, false);
    const element = of(values);
    if (element === undefined) return undefined;
    // A key takes quotes, colon, comma and two characters.
    const fitting = Math.floor(longestText / (element.minBytes + 6));
    return { kind: 'map', max: notNegative(validations?.maxProperties ?? fitting), minBytes: 2, element };
  }

  function sizedObject({ properties = {}, required = [] }: Schema, root: boolean): Sized {
    let minBytes = 2;
    for (const name of required) {
      const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
      // Fields with defaults need not be sent.
      if (property === undefined || property.default !== undefined) continue;
      const sized = of(property);
      if (sized !== undefined) minBytes += Buffer.byteLength(name) + sized.minBytes + 4;
    }
    let names: Map<string | undefined, Schema> | undefined;
    const field = (name: string): Sized | undefined => {
      names ??= new Map(Object.entries(properties).map(([field, property]) => [celName(field), property] as const));
      const property = names.get(name);
      if (root && name === 'metadata' && property?.properties === undefined) return objectMeta;
      if (property === undefined) return root && (name === 'kind' || name === 'apiVersion') ? text : undefined;
      return of(property);
    };
    return { kind: 'object', max: 0, minBytes, field };
  }

  return { of };
}
