/**
 * How server-side apply sees a schema: every value is a scalar, a list or a map, and a list or map is either owned as a
 * whole (atomic) or item by item (sigs.k8s.io/structured-merge-diff/schema).
 */
import { fieldElement, keyElement, valueElement } from './apply-set.ts';
import { isObject, type JsonObject, own } from './json-value.ts';
import { fieldsOf, type Resolve, type Schema } from './schema.ts';

export interface ApplyType {
  /** 'any': whatever the value is; maps granular, lists atomic. */
  readonly kind: 'scalar' | 'list' | 'map' | 'any';
  readonly atomic: boolean;
  /** What a scalar must be. */
  readonly scalar?: 'string' | 'numeric' | 'boolean';
  /** Lists that are maps: the names of the key fields, alphabetically. */
  readonly keys?: readonly string[];
  readonly keyDefaults?: ReadonlyMap<string, unknown>;
  /** The type of list items, or of the members of a free map. */
  readonly items?: Schema;
  /** Declared fields. */
  readonly fields?: Readonly<Record<string, Schema>>;
  /** Fields that are not declared are welcome. */
  readonly open: boolean;
  /** Fields that Go writes even when nobody set them, with their zero values. */
  readonly zeros: readonly (readonly [name: string, zero: unknown])[];
}

const anyType: ApplyType = { kind: 'any', atomic: false, open: true, zeros: [] };
const anyAtomic: ApplyType = { kind: 'any', atomic: true, open: true, zeros: [] };
const anySchema: Schema = {};

// Schemas are immutable, so what is derived from one is kept with it.
const types = new WeakMap<Schema, ApplyType>();

/** The type of a schema; made once for each schema object. */
export function applyType(schema: Schema, resolve: Resolve): ApplyType {
  const known = types.get(schema);
  if (known !== undefined) return known;
  const made = makeType(schema, resolve);
  types.set(schema, made);
  return made;
}

const scalarTypes: Readonly<Record<string, 'string' | 'numeric' | 'boolean'>> = {
  string: 'string',
  integer: 'numeric',
  number: 'numeric',
  boolean: 'boolean',
};
const looseFormats = new Set(['int-or-string', 'quantity']);

function makeType(use: Schema, resolve: Resolve): ApplyType {
  const schema = use.ref === undefined ? use : resolve(use.ref);
  const format = schema.format ?? '';
  if (looseFormats.has(format)) return { kind: 'scalar', atomic: false, open: false, zeros: [] };
  if (format === 'json' || format.startsWith('json-schema') || format === 'fields-v1') return anyAtomic;
  const mapType = use.mapType ?? schema.mapType;
  if (schema.type === 'array')
    return listType(use.listType ?? schema.listType, use.listMapKeys ?? schema.listMapKeys, schema.items, resolve);
  const fields = fieldsOf(schema);
  if (schema.type === 'object' || fields !== undefined) {
    const atomic = mapType === 'atomic';
    const extra = schema.additionalProperties;
    const items = typeof extra === 'object' ? extra : undefined;
    if (fields === undefined && items === undefined) return atomic ? anyAtomic : anyType;
    return {
      kind: 'map',
      atomic,
      ...(fields === undefined ? {} : { fields }),
      ...(items === undefined ? {} : { items }),
      open: schema.preserveUnknownFields === true || extra === true,
      zeros: zerosOf(schema, resolve),
    };
  }
  const scalar = schema.type === undefined ? undefined : scalarTypes[schema.type];
  return scalar === undefined ? anyType : { kind: 'scalar', atomic: false, scalar, open: false, zeros: [] };
}

function listType(kind: Schema['listType'], keys: readonly string[] | undefined, items: Schema | undefined, resolve: Resolve): ApplyType {
  const base = { kind: 'list', items: items ?? anySchema, open: false, zeros: [] } as const;
  if (kind === 'set') return { ...base, atomic: false };
  if (kind !== 'map' || keys === undefined || keys.length === 0) return { ...base, atomic: true };
  const fields = (items?.ref === undefined ? items : resolve(items.ref))?.properties ?? {};
  const keyDefaults = new Map<string, unknown>();
  for (const key of keys) {
    const value = Object.hasOwn(fields, key) ? fields[key]?.default : undefined;
    if (value !== undefined) keyDefaults.set(key, value);
  }
  return { ...base, atomic: false, keys: [...keys].sort(), keyDefaults };
}

function zerosOf(schema: Schema, resolve: Resolve): (readonly [string, unknown])[] {
  const out: (readonly [string, unknown])[] = [];
  for (const [name, use] of Object.entries(schema.properties ?? {})) {
    if (use.proto === undefined || use.pointer === true) continue;
    const target = use.ref === undefined ? use : resolve(use.ref);
    if (target.properties !== undefined) out.push([name, {}]);
    else if (use.omitEmpty === true) continue;
    else if (target.type === 'array' || target.type === 'object') out.push([name, null]);
    else if (target.type === 'boolean') out.push([name, false]);
    else if (target.type === 'integer' || target.type === 'number') out.push([name, 0]);
    else if (target.type === 'string' && (target.format === undefined || target.format === 'byte')) out.push([name, '']);
  }
  return out;
}

/** The schema of a member of a map; undefined where the type does not know it. */
export function memberSchema(type: ApplyType, name: string): Schema | undefined {
  if (type.fields !== undefined && Object.hasOwn(type.fields, name)) return type.fields[name];
  return type.items ?? (type.open ? anySchema : undefined);
}

/** Whether a member of a map is a declared field, as opposed to a key that somebody chose. */
export const isDeclared = (type: ApplyType, name: string): boolean => type.fields !== undefined && Object.hasOwn(type.fields, name);

/** What a value is under a type. `null` takes whichever form the type wants. */
export function shapeOf(type: ApplyType, value: unknown): 'scalar' | 'list' | 'map' {
  if (type.kind !== 'any') return type.kind;
  return Array.isArray(value) ? 'list' : isObject(value) ? 'map' : 'scalar';
}

/** Whether a value of that shape is owned as a whole. Lists of unknown type are. */
export const isAtomic = (type: ApplyType, shape: 'scalar' | 'list' | 'map'): boolean =>
  shape === 'scalar' || type.atomic || (type.kind === 'any' && shape === 'list');

/** The path element of an item of a list that is a map or a set. Throws Error for an item that has none. */
export function itemElement(type: ApplyType, item: unknown): string {
  if (type.keys === undefined) {
    if (isObject(item)) throw new Error("associative list without keys has an element that's a map type");
    return valueElement(item);
  }
  if (!isObject(item)) throw new Error('associative list with keys may not have non-map elements');
  return keyElement(type.keys.map((key) => [key, keyValue(type, key, item)] as const));
}

function keyValue(type: ApplyType, key: string, item: JsonObject): unknown {
  const value = own(item, key);
  if (value !== undefined && value !== null) return value;
  const byDefault = type.keyDefaults?.get(key);
  if (byDefault === undefined) {
    throw new Error(
      `associative list with keys has an element that omits key field ${JSON.stringify(key)} (and doesn't have default value)`,
    );
  }
  return byDefault;
}

/** The elements of a list's items, in order; undefined for an item that has none (it cannot be owned by itself). */
export function itemElements(type: ApplyType, list: readonly unknown[]): (string | undefined)[] {
  return list.map((item) => {
    try {
      return itemElement(type, item);
    } catch {
      return undefined;
    }
  });
}

export { fieldElement };
