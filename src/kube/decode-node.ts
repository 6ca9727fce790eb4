/**
 * Schemas compiled into decoders. A decoder takes what a parser made and gives a fresh value that holds only what the
 * schema knows, in the form in which Go's encoder would write it: zero values that Go omits are left out, those it
 * writes are filled in, amounts and times are canonical. Objects are built key by key, so no key of the input can
 * reach a prototype.
 */
import { fitsInt64, isJsonNumber, WrittenFloat } from '#lib/exact-json.ts';
import { base64Problem, canonicalMicroTime, canonicalTime, describeType, GoTypeError } from './go-values.ts';
import { maxDepth } from './parse-body.ts';
import { canonicalQuantity } from './quantity.ts';
import { fieldsOf, type Schema } from './schema.ts';
import { definition, resolveSchema } from './schema-registry.ts';

/** State of one decoding. */
export interface DecodeContext {
  /** Field names and list indices down to the value at hand. */
  readonly path: (string | number)[];
  /** Positions in `path` that are keys of maps: Go leaves those out of type errors. */
  readonly mapKeys: number[];
  /** Where unknown fields are noted; undefined: they are dropped silently. */
  readonly unknown: string[] | undefined;
  /** Custom resources are pruned only; else their defaults are filled in too. */
  readonly pruneOnly?: boolean;
  /** Go name of the innermost struct, for type errors. */
  struct: string;
}

export interface Node {
  /** Decodes a value that is neither null nor undefined. Throws GoTypeError. */
  readonly decode: (value: unknown, context: DecodeContext) => unknown;
  /**
   * What Go's zero value is written as; undefined where it is nil. A list or map without omitempty that is nil in Go is
   * written as null there and as an empty one here: clients read the same, and code need not ask.
   */
  readonly zero: () => unknown;
  /** True for values that omitempty leaves out. */
  readonly empty: (value: unknown) => boolean;
  /** True where a missing value of this type is written even with omitempty: structs. */
  readonly struct: boolean;
}

/** Upstream stops noting unknown fields there. */
const maxUnknown = 100;

const never = (): boolean => false;
const nothing = (): undefined => undefined;
const emptyString = (value: unknown): boolean => value === '';

export function formatPath(path: readonly (string | number)[]): string {
  let text = '';
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text === '' ? step : `.${step}`;
  return text;
}

function mismatch(value: unknown, goType: string, context: DecodeContext, described = describeType(value)): GoTypeError {
  const fields = context.path.filter((step, i) => typeof step === 'string' && !context.mapKeys.includes(i)).join('.');
  const where = fields === '' ? 'value' : `struct field ${context.struct}.${fields}`;
  return new GoTypeError(`json: cannot unmarshal ${described} into Go ${where} of type ${goType}`);
}

/** The Go type of a schema as error messages show it. */
export function goTypeOf(schema: Schema): string {
  if (schema.goType !== undefined) return schema.goType;
  if (schema.ref !== undefined) {
    const parts = schema.ref.split('.');
    return `${parts.at(-2)}.${parts.at(-1)}`;
  }
  if (schema.type === 'array') return `[]${goTypeOf(schema.items ?? {})}`;
  if (schema.type === 'object' && typeof schema.additionalProperties === 'object')
    return `map[string]${goTypeOf(schema.additionalProperties)}`;
  if (schema.type === 'boolean') return 'bool';
  if (schema.type === 'integer') return schema.format ?? 'int64';
  if (schema.type === 'number') return 'float64';
  if (schema.format === 'byte') return '[]uint8';
  return schema.type === 'string' ? 'string' : 'interface {}';
}

const compiled = new WeakMap<Schema, Node>();
const compiledCustom = new WeakMap<Schema, Node>();

/** The decoder of a schema; made once for each schema object. `custom`: see Schema.custom. */
export function compile(schema: Schema, custom = schema.custom === true): Node {
  const cache = custom ? compiledCustom : compiled;
  const known = cache.get(schema);
  if (known !== undefined) return known;
  const node = custom && schema.ref === undefined ? compileCustom(schema) : compileTyped(schema);
  cache.set(schema, node);
  return node;
}

function compileTyped(schema: Schema): Node {
  if (schema.ref !== undefined) {
    const target = definition(schema.ref);
    return target?.properties === undefined ? compile(resolveSchema(schema)) : structNode(target, schema.ref.split('.').at(-1) ?? '');
  }
  if (schema.properties !== undefined) return structNode(schema, schema.gvk?.kind ?? '');
  if (schema.preserveUnknownFields === true || schema.type === undefined) return anyNode(schema);
  if (schema.type === 'array') return listNode(schema);
  if (schema.type === 'object') return mapNode(schema);
  return scalarNode(schema);
}

const isObject = (value: unknown): value is object =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof WrittenFloat);

const structs = new WeakMap<Schema, Node>();

interface FieldPlan {
  readonly name: string;
  readonly node: Node;
  readonly omitEmpty: boolean;
  readonly default: unknown;
}

function structNode(schema: Schema, name: string): Node {
  const known = structs.get(schema);
  if (known !== undefined) return known;
  let plans: Map<string, FieldPlan> | undefined;
  const fills: FieldPlan[] = [];
  const prepare = (): Map<string, FieldPlan> => {
    const made = new Map<string, FieldPlan>();
    for (const [field, property] of Object.entries(schema.properties ?? {})) {
      const node = compile(property, false);
      const typeMeta = (field === 'kind' || field === 'apiVersion') && property.proto === undefined;
      const plan = {
        name: field,
        node,
        omitEmpty: (property.omitEmpty === true || typeMeta) && property.pointer !== true && !node.struct,
        default: property.default,
      };
      made.set(field, plan);
      if (property.default !== undefined || (property.pointer !== true && !plan.omitEmpty)) fills.push(plan);
    }
    plans = made;
    return made;
  };
  const decode = (value: unknown, context: DecodeContext): unknown => {
    if (!isObject(value)) throw mismatch(value, `v1.${name}`, context);
    const fields = plans ?? prepare();
    const outer = context.struct;
    context.struct = name;
    if (context.path.length > maxDepth) throw new GoTypeError('exceeded max depth');
    const result: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      const plan = fields.get(key);
      if (plan === undefined) {
        noteUnknown(key, context);
        continue;
      }
      const given = (value as Record<string, unknown>)[key];
      if (given === null || given === undefined) continue;
      context.path.push(key);
      const made = plan.node.decode(given, context);
      context.path.pop();
      if (made !== undefined && !(plan.omitEmpty && plan.node.empty(made))) result[key] = made;
    }
    for (const plan of fills) {
      if (plan.name in result) continue;
      const made = plan.default ?? plan.node.zero();
      if (made !== undefined) result[plan.name] = made;
    }
    context.struct = outer;
    return result;
  };
  const node: Node = {
    decode,
    zero: () => decode({}, { path: [], mapKeys: [], unknown: undefined, struct: name }),
    empty: never,
    struct: true,
  };
  structs.set(schema, node);
  return node;
}

function noteUnknown(key: string, context: DecodeContext): void {
  if (context.unknown === undefined || context.unknown.length >= maxUnknown) return;
  context.unknown.push(`unknown field "${formatPath([...context.path, key])}"`);
}

function listNode(schema: Schema): Node {
  const item = compile(schema.items ?? {}, false);
  const goType = goTypeOf(schema);
  return {
    decode: (value, context) => {
      if (!Array.isArray(value)) throw mismatch(value, goType, context);
      const { path } = context;
      if (path.length > maxDepth) throw new GoTypeError('exceeded max depth');
      const result: unknown[] = [];
      for (let i = 0; i < value.length; i++) {
        const given = value[i] as unknown;
        path.push(i);
        result.push(given === null || given === undefined ? (item.zero() ?? null) : item.decode(given, context));
        path.pop();
      }
      return result;
    },
    zero: () => [],
    empty: (value) => Array.isArray(value) && value.length === 0,
    struct: false,
  };
}

/** Sets a key that a client chose. `__proto__` is refused: nothing legitimate is called that, and code that copies maps could trip. */
function setEntry(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') throw new GoTypeError('the key "__proto__" is not allowed');
  target[key] = value;
}

function mapNode(schema: Schema): Node {
  const values = typeof schema.additionalProperties === 'object' ? compile(schema.additionalProperties, false) : anyNode({});
  const goType = goTypeOf(schema);
  return {
    decode: (value, context) => {
      if (!isObject(value)) throw mismatch(value, goType, context);
      const { path } = context;
      if (path.length > maxDepth) throw new GoTypeError('exceeded max depth');
      const result: Record<string, unknown> = {};
      context.mapKeys.push(path.length);
      for (const key of Object.keys(value)) {
        const given = (value as Record<string, unknown>)[key];
        path.push(key);
        const made = given === null || given === undefined ? values.zero() : values.decode(given, context);
        path.pop();
        if (made !== undefined) setEntry(result, key, made);
      }
      context.mapKeys.pop();
      return result;
    },
    zero: () => ({}),
    empty: (value) => Object.keys(value as object).length === 0,
    struct: false,
  };
}

/** A scalar as Go reads it into an interface: whole numbers as int64 where they fit, else doubles. Throws GoTypeError. */
function untypedScalar(value: unknown): unknown {
  if (typeof value === 'bigint') return fitsInt64(value) ? value : Number(value);
  if (typeof value === 'number' && !Number.isFinite(value)) throw outsideDouble(value);
  return value;
}

const outsideDouble = (value: number): GoTypeError =>
  new GoTypeError(`json: cannot unmarshal number ${value > 0 ? '1e400' : '-1e400'} into Go value of type float64`);

/** A deep copy of a JSON value. Throws GoTypeError when it is nested too deeply or has a key that may not be. */
export function copyJson(value: unknown, depth = 0): unknown {
  if (value instanceof WrittenFloat) return untypedScalar(value.value);
  if (value === null || typeof value !== 'object') return untypedScalar(value);
  if (depth > maxDepth) throw new GoTypeError('exceeded max depth');
  if (Array.isArray(value)) return value.map((item) => copyJson(item, depth + 1));
  const result: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) if (item !== undefined) setEntry(result, key, copyJson(item, depth + 1));
  return result;
}

const jsonSchemaProps = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps';

function anyNode(schema: Schema): Node {
  const rest = { zero: nothing, empty: never, struct: false };
  if (schema.format?.startsWith('json-schema-or-') === true) {
    return {
      ...rest,
      decode: (value, context) => {
        const node = compile({ ...schemaOfSchemas, ref: jsonSchemaProps }, false);
        if (typeof value === 'boolean' && schema.format === 'json-schema-or-bool') return value;
        if (!Array.isArray(value)) return node.decode(value, context);
        return schema.format === 'json-schema-or-array' ? value.map((item) => node.decode(item, context)) : copyJson(value);
      },
    };
  }
  return {
    ...rest,
    decode: (value, context) => {
      if (schema.type === 'object' && !isObject(value)) {
        throw mismatch(value, 'runtime.RawExtension', context);
      }
      return copyJson(value, context.path.length);
    },
  };
}

const schemaOfSchemas: Schema = {};

function scalarNode(schema: Schema): Node {
  const goType = goTypeOf(schema);
  const node = (decode: Node['decode'], zero: Node['zero'], empty: Node['empty']): Node => ({ decode, zero, empty, struct: false });
  if (schema.type === 'boolean') {
    return node(
      (value, context) => {
        if (typeof value !== 'boolean') throw mismatch(value, goType, context);
        return value;
      },
      () => false,
      (value) => value === false,
    );
  }
  if (schema.type !== 'integer' && schema.type !== 'number') return stringNode(schema, goType, node);
  return node(
    (value, context) => decodeNumber(value, schema, goType, context),
    () => 0,
    (value) => value === 0,
  );
}

function decodeNumber(given: unknown, schema: Schema, goType: string, context: DecodeContext): number {
  const float = given instanceof WrittenFloat;
  const value = float ? given.value : given;
  if (!isJsonNumber(value)) throw mismatch(value, goType, context);
  if (schema.type === 'number' && Number.isFinite(Number(value))) return Number(value);
  // As Go's decoder, which reads the text of a number: 1.0 and 1e3 are no integers.
  if (float) throw mismatch(given, goType, context, `number ${given.toString()}`);
  // An int64 beyond 2^53 would lose digits wherever the server calculates with it, so it is refused as one beyond 2^63 is.
  if (typeof value === 'bigint') throw mismatch(value, goType, context, `number ${value}`);
  const outside = schema.format === 'int32' && (value >= 0x80000000 || value < -0x80000000);
  if (!Number.isSafeInteger(value) || outside) throw mismatch(value, goType, context, `number ${value}`);
  return value === 0 ? 0 : value;
}

function stringNode(
  schema: Schema,
  goType: string,
  node: (decode: Node['decode'], zero: Node['zero'], empty: Node['empty']) => Node,
): Node {
  const text = (value: unknown, context: DecodeContext): string => {
    if (typeof value !== 'string') throw mismatch(value, goType, context);
    return value;
  };
  switch (schema.format ?? '') {
    case 'date-time':
      return node((value, context) => canonicalTime(text(value, context)), nothing, emptyString);
    case 'micro-time':
      return node((value, context) => canonicalMicroTime(text(value, context)), nothing, emptyString);
    case 'quantity':
      return node(
        (value) => decodeQuantity(value),
        () => '0',
        never,
      );
    case 'int-or-string':
      return node(
        (value, context) =>
          typeof value === 'string' ? value : decodeNumber(value, { type: 'integer', format: 'int32' }, 'int32', context),
        () => 0,
        never,
      );
    case 'byte':
      return node(
        (value, context) => {
          const encoded = text(value, context);
          const problem = base64Problem(encoded);
          if (problem !== undefined) throw new GoTypeError(problem);
          return encoded.includes('\n') || encoded.includes('\r') ? encoded.replaceAll(/[\r\n]/g, '') : encoded;
        },
        () => '',
        emptyString,
      );
    default:
      return node(text, () => '', emptyString);
  }
}

/** Amounts that are canonical as they stand: most of those that people write. */
const plainQuantity = /^[1-9][0-9]{0,2}(?:m|k|M|G|Ki|Mi|Gi)?$/;

function decodeQuantity(value: unknown): string {
  const given =
    isJsonNumber(value) || value instanceof WrittenFloat ? String(value) : typeof value === 'string' ? value.trim() : 'not a quantity';
  if (plainQuantity.test(given)) return given;
  try {
    return canonicalQuantity(given);
  } catch (error) {
    throw new GoTypeError(error instanceof Error ? error.message : String(error));
  }
}

/**
 * Decoder below the root of a custom resource: prunes, also nulls that may not be (apiextensions' defaulting/prune.go), and
 * fills defaults; leaves values, also of wrong types, as they are.
 */
function compileCustom(schema: Schema): Node {
  const rest = { zero: nothing, empty: never, struct: false };
  const typed = fieldsOf(schema) ?? {};
  const keepUnknown = schema.preserveUnknownFields === true;
  const values = schema.additionalProperties;
  const properties = new Map<string, { readonly schema: Schema; node?: Node }>(
    Object.entries(typed).map(([name, property]) => [name, { schema: property }]),
  );
  const nodeOf = (property: { readonly schema: Schema; node?: Node }): Node => {
    property.node ??= compile(property.schema, true);
    return property.node;
  };
  const decodeObject = (value: object, context: DecodeContext): unknown => {
    const result: Record<string, unknown> = {};
    for (const [key, given] of Object.entries(value)) {
      if (given === undefined) continue;
      const property = properties.get(key);
      context.path.push(key);
      if (property !== undefined) {
        if (given !== null) setEntry(result, key, nodeOf(property).decode(given, context));
        else if (property.schema.nullable === true) setEntry(result, key, null);
      } else if (values !== undefined && values !== false) {
        const node = values === true ? anyNode({}) : compile(values, true);
        if (given !== null) setEntry(result, key, node.decode(given, context));
        else if (values === true || values.nullable === true) setEntry(result, key, null);
      } else if (keepUnknown) setEntry(result, key, copyJson(given, context.path.length));
      context.path.pop();
      if (property === undefined && (values === undefined || values === false) && !keepUnknown) noteUnknown(key, context);
    }
    if (context.pruneOnly === true) return result;
    for (const [name, property] of properties) {
      if (property.schema.default === undefined || Object.hasOwn(result, name)) continue;
      setEntry(result, name, property.schema.default === null ? null : nodeOf(property).decode(property.schema.default, context));
    }
    return result;
  };
  return {
    ...rest,
    decode: (value, context) => {
      if (context.path.length > maxDepth) throw new GoTypeError('exceeded max depth');
      if (value === null || typeof value !== 'object') return untypedScalar(value);
      if (Array.isArray(value)) return decodeCustomList(value, schema, context);
      const object = schema.type === 'object' || properties.size > 0 || values !== undefined;
      return object ? decodeObject(value, context) : copyJson(value, context.path.length);
    },
  };
}

function decodeCustomList(value: readonly unknown[], schema: Schema, context: DecodeContext): unknown[] {
  const items = schema.items === undefined ? anyNode({}) : compile(schema.items, true);
  return value.map((item, i) => {
    if (item === null || item === undefined) return null;
    context.path.push(i);
    const made = items.decode(item, context);
    context.path.pop();
    return made;
  });
}
