/**
 * Values as expressions see them, by schema: integers are ints, dates timestamps, structs typed objects whose fields the checker
 * knows (k8s.io/apiserver pkg/cel/common). Typed objects convert their fields when these are read.
 */
import { Environment } from '@marcbachmann/cel-js';
import type { CelScope } from './cel.ts';
import { CelValueError, celMap } from './cel-library.ts';
import { associative } from './cel-lists.ts';
import { isObject, type JsonObject, jsonEqual, own } from './json-value.ts';
import type { Schema } from './schema.ts';

/** The type of a schema in a scope, and how its values are made. */
export interface CelType {
  readonly name: string;
  /** `undefined` stays undefined. */
  readonly convert: (value: unknown) => unknown;
}

const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(' '),
);

const plainName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The name under which an expression reads a field: CEL's identifiers have fewer characters than JSON's keys. */
export function celName(field: string): string | undefined {
  if (reserved.has(field)) return `__${field}__`;
  if (plainName.test(field) && !field.includes('__')) return field;
  const escaped = field
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
  return plainName.test(escaped) ? escaped : undefined;
}

/** A JSON value without a schema: whole numbers are ints. Keys are as they are. */
export function celAny(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celAny);
  if (isObject(value)) return celMap(Object.entries(value).map(([k, v]) => [k, celAny(v)] as const));
  return value;
}

const asIs = (name: string): CelType => ({ name, convert: (value) => value });
const anyType: CelType = { name: 'dyn', convert: celAny };

function parseTime(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const ms = Date.parse(value);
  if (Number.isNaN(ms)) throw new CelValueError(`not a time: ${value}`);
  return new Date(ms);
}

/** The library keeps its class of durations to itself, so they are made by an expression. */
const durationOf = new Environment().registerVariable('text', 'string').parse('duration(text)');
const parseDuration = (value: unknown): unknown => (typeof value === 'string' ? (durationOf({ text: value }) as unknown) : value);

const stringFormats: Readonly<Record<string, CelType>> = {
  'date-time': { name: 'google.protobuf.Timestamp', convert: parseTime },
  'micro-time': { name: 'google.protobuf.Timestamp', convert: parseTime },
  date: { name: 'google.protobuf.Timestamp', convert: parseTime },
  duration: { name: 'google.protobuf.Duration', convert: parseDuration },
  byte: { name: 'bytes', convert: (v) => (typeof v === 'string' ? new Uint8Array(Buffer.from(v, 'base64')) : v) },
};

const scalarTypes: Readonly<Record<string, CelType>> = {
  boolean: asIs('bool'),
  integer: { name: 'int', convert: (v) => (typeof v === 'number' && Number.isInteger(v) ? BigInt(v) : v) },
  number: { name: 'double', convert: (v) => (typeof v === 'bigint' ? Number(v) : v) },
};

function scalarType(schema: Schema): CelType {
  const format = schema.format ?? '';
  if (format === 'int-or-string' || format === 'quantity') return anyType;
  if (schema.type === 'string') return (Object.hasOwn(stringFormats, format) ? stringFormats[format] : undefined) ?? asIs('string');
  return (schema.type === undefined ? undefined : scalarTypes[schema.type]) ?? anyType;
}

const metadataSchema: Schema = { type: 'object', properties: { name: { type: 'string' }, generateName: { type: 'string' } } };
const typeMeta: Readonly<Record<string, Schema>> = { apiVersion: { type: 'string' }, kind: { type: 'string' } };

export interface TypeBuilder {
  /** The type of a schema; `root`: the schema of a whole object, whose name, kind and version are always there. */
  readonly typeOf: (schema: Schema, root?: boolean) => CelType;
}

export interface TypeOptions {
  /** How a field is called in expressions. */
  readonly nameOf?: (field: string) => string | undefined;
  /** The names in the expressions, where these are known: other fields are not declared, since schemas have many and expressions few. */
  readonly words?: ReadonlySet<string>;
  /**
   * What of a schema expressions may know. Given, they know nothing that the schema does not describe: fields of other schemas are not
   * there, and an object without fields has none (as in rules of definitions). Absent: of such values they know all when they run.
   */
  readonly isKnown?: (schema: Schema) => boolean;
}

/** Declares types in a scope as they are needed. `resolve` gives what a ref names. Schemas may refer to themselves. */
export function typeBuilder(scope: CelScope, resolve: (ref: string) => Schema, options: TypeOptions = {}): TypeBuilder {
  const { nameOf = celName, words, isKnown } = options;
  const known = new Map<Schema, CelType>();
  const keys = new Set<string>();
  const isNeeded = (name: string): boolean => words === undefined || words.has(name) || keys.has(name);
  /** The types of schemas but for null. */
  const bare = new Map<Schema, CelType>();
  const structs = new Set<CelType>();

  /** A field that is null is as one that is not there, so it need not be checked when it is read; objects can be compared with null. */
  function fieldType(schema: Schema): CelType {
    const type = typeOf(schema);
    const without = bare.get(schema);
    return without === undefined || structs.has(without) ? type : without;
  }

  let count = 0;

  function structType(schema: Schema, root: boolean): CelType {
    const name = `object${++count}`;
    const types = new Map<string, { readonly field: string; readonly type: CelType }>();
    // The type is known before its fields are, because they may be of it.
    const made: CelType = { name, convert: (value) => (isObject(value) ? new Struct(value) : value) };
    known.set(schema, made);
    structs.add(made);
    const properties =
      root || schema.embeddedResource === true ? { ...schema.properties, ...typeMeta, metadata: metadataSchema } : schema.properties;
    for (const [field, property] of Object.entries(properties ?? {})) {
      const visible = nameOf(field);
      if (visible === undefined || !isNeeded(visible) || isKnown?.(property) === false) continue;
      types.set(visible, { field, type: fieldType(property) });
    }
    class Struct extends Map<string, unknown> {
      readonly #raw: JsonObject;
      readonly #read = new Map<string, unknown>();
      constructor(raw: JsonObject) {
        super();
        this.#raw = raw;
      }
      override get(key: string): unknown {
        const f = types.get(key);
        if (f === undefined) return undefined;
        let value = this.#read.get(key);
        if (value === undefined) {
          value = f.type.convert(own(this.#raw, f.field) ?? undefined);
          this.#read.set(key, value);
        }
        return value;
      }
      override has(key: string): boolean {
        const f = types.get(key);
        return f !== undefined && (own(this.#raw, f.field) ?? undefined) !== undefined;
      }
      celSize(): number {
        return Object.keys(this.#raw).length;
      }
      equals(other: unknown): boolean {
        return other instanceof Struct && jsonEqual(this.#raw, other.#raw);
      }
    }
    const fields = Object.create(null) as Record<string, string>;
    for (const [visible, f] of types) fields[visible] = f.type.name;
    scope.declareType(name, fields, Struct as never);
    return made;
  }

  function listType({ items: of = {}, listType: kind, listMapKeys = [] }: Schema): CelType {
    const identity = kind === 'map' ? listMapKeys.map((key) => nameOf(key) ?? key) : undefined;
    for (const key of identity ?? []) keys.add(key);
    const items = typeOf(of);
    const list = (v: readonly unknown[]): unknown[] => v.map(items.convert);
    const name = `list<${items.name}>`;
    if (kind !== 'set' && kind !== 'map') return { name, convert: (v) => (Array.isArray(v) ? list(v) : v) };
    return { name, convert: (v) => (Array.isArray(v) ? associative(list(v), identity) : v) };
  }

  function make(schema: Schema, root: boolean): CelType {
    if (schema.ref !== undefined) return typeOf(resolve(schema.ref), root);
    if (schema.type === 'array') return listType(schema);
    if (schema.type !== 'object' && schema.properties === undefined) return scalarType(schema);
    if (schema.properties !== undefined || root || schema.embeddedResource === true) return structType(schema, root);
    if (typeof schema.additionalProperties !== 'object') return isKnown === undefined ? anyType : structType(schema, root);
    const values = typeOf(schema.additionalProperties);
    return {
      name: `map<string, ${values.name}>`,
      convert: (v) => (isObject(v) ? celMap(Object.entries(v).map(([k, m]) => [k, values.convert(m)] as const)) : v),
    };
  }

  function typeOf(schema: Schema, root = false): CelType {
    const found = known.get(schema);
    if (found !== undefined) return found;
    const made = make(schema, root);
    bare.set(schema, made);
    // null has a type of its own, so a nullable value is checked when it is read.
    const type = schema.nullable === true ? { name: 'dyn', convert: made.convert } : made;
    known.set(schema, type);
    return type;
  }

  return { typeOf };
}
