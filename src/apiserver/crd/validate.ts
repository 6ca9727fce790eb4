/** Values of custom resources against their schema, with the texts of upstream's OpenAPI validation. */

import type { RE2JS } from 're2js';
import { isObject, jsonEqual, own } from '#kube/json-value.ts';
import type { KubeObject } from '#kube/object.ts';
import type { Schema, SchemaValidations } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { isJsonNumber } from '#lib/exact-json.ts';
import { formatProblem } from './formats.ts';
import type { CompiledSchema } from './kind.ts';
import { compilePattern } from './schema.ts';

/** No more errors than this are told. */
const maxErrors = 100;

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

/**
 * Checks an object and its rules. `old`: the object before an update; what is wrong with values that the update leaves as they are is
 * tolerated (CRDValidationRatcheting). k8s.io/apiextensions-apiserver pkg/registry/customresource/strategy.go.
 */
export function validateCustom(compiled: CompiledSchema, object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const { schema, metadata, rules } = compiled;
  const before = old === undefined ? undefined : { value: old as unknown };
  const errors: FieldError[] = schemaProblems(schema, object, before);
  if (metadata !== undefined) check(metadata, object.metadata, 'metadata', errors, old && { value: old.metadata });
  const lists = listProblems(schema, object);
  if (lists.length > 0 && (old === undefined || listProblems(schema, old).length === 0)) errors.push(...lists);
  if (!errors.some((e) => blocking.has(e.type))) errors.push(...rules().validate(object, old));
  else if (rules().hasRules) errors.push(rulesNotRun);
  return errors;
}

/** What stood at this place before the update; undefined where there is no such place. */
type Before = { readonly value: unknown } | undefined;

/** Checks everything below the root but metadata, which the server checks itself, and uniqueness in lists. */
export function schemaProblems(schema: Schema, object: unknown, before?: Before): FieldError[] {
  const errors: FieldError[] = [];
  const { metadata: _metadata, ...properties } = schema.properties ?? {};
  check({ ...schema, properties }, object, '', errors, before);
  return errors.slice(0, maxErrors);
}

const typeInvalid = (path: string, type: string, expected: string): FieldError => ({
  field: path,
  type: 'FieldValueTypeInvalid',
  message: `Invalid value: ${JSON.stringify(type)}: ${path} in body must be of type ${expected}: ${JSON.stringify(type)}`,
});

const shown = (value: unknown): string => {
  const text = JSON.stringify(value);
  return text.length > 512 ? `${text.slice(0, 512)}...` : text;
};

const invalid = (path: string, value: unknown, why: string): FieldError => ({
  field: path,
  type: 'FieldValueInvalid',
  message: `Invalid value: ${shown(value)}: ${path} in body ${why}`,
});

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'bigint') return 'integer';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

const fits = (actual: string, wanted: string): boolean => actual === wanted || (wanted === 'number' && actual === 'integer');

function check(schema: Schema, value: unknown, path: string, errors: FieldError[], before?: Before): void {
  if (errors.length >= maxErrors) return;
  if (before !== undefined && jsonEqual(value, before.value)) return;
  const actual = typeOf(value);
  if (value === null && schema.nullable === true) return;
  if (schema.format === 'int-or-string' && schema.type === undefined) {
    if (actual !== 'integer' && actual !== 'string') errors.push(typeInvalid(path, actual, 'integer,string'));
  } else if (schema.type !== undefined && !fits(actual, schema.type)) {
    errors.push(typeInvalid(path, actual, schema.type));
    return;
  }
  if (schema.enum !== undefined && !schema.enum.some((v) => jsonEqual(v, value)))
    errors.push(fieldNotSupported(path, value, schema.enum.map(String)));
  if (schema.format !== undefined && typeof value === 'string') {
    const problem = formatProblem(schema.format, value);
    if (problem) errors.push(invalid(path, value, `must be of type ${schema.format}: ${JSON.stringify(value)}`));
  }
  if (schema.validations !== undefined) checkValidations(schema.validations, value, path, errors);
  if (Array.isArray(value)) checkList(schema, value, path, errors, before);
  else if (typeof value === 'object' && value !== null) checkObject(schema, value as Record<string, unknown>, path, errors, before);
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

function checkObject(schema: Schema, value: Record<string, unknown>, path: string, errors: FieldError[], before: Before): void {
  for (const name of schema.required ?? []) if (!Object.hasOwn(value, name)) errors.push(fieldRequired(join(path, name)));
  const properties = schema.properties ?? {};
  const beforeOf = (name: string): Before =>
    isObject(before?.value) && Object.hasOwn(before.value, name) ? { value: before.value[name] } : undefined;
  for (const [name, item] of Object.entries(value)) {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (property !== undefined) check(property, item, join(path, name), errors, beforeOf(name));
    else if (typeof schema.additionalProperties === 'object')
      check(schema.additionalProperties, item, join(path, name), errors, beforeOf(name));
  }
}

function checkList(schema: Schema, value: readonly unknown[], path: string, errors: FieldError[], before: Before): void {
  if (schema.items === undefined) return;
  const beforeOf = itemsBefore(schema, before);
  for (const [i, item] of value.entries()) check(schema.items, item, `${path}[${i}]`, errors, beforeOf(item));
}

const isKeyed = (schema: Schema): boolean => schema.listType === 'map';

/** What makes an item of a list the item that it is: its keys with their defaults, or all of it. */
function identityOf(schema: Schema, item: unknown): unknown {
  if (!isKeyed(schema)) return item;
  const keys = schema.listMapKeys ?? [];
  return Object.fromEntries(keys.map((k) => [k, (isObject(item) ? own(item, k) : undefined) ?? schema.items?.properties?.[k]?.default]));
}

/** The items before by their keys: only in lists that are maps an item is known again. */
function itemsBefore(schema: Schema, before: Before): (item: unknown) => Before {
  if (!isKeyed(schema) || !Array.isArray(before?.value)) return () => undefined;
  const known = new Map(before.value.map((item) => [JSON.stringify(identityOf(schema, item)), { value: item as unknown }]));
  return (item) => known.get(JSON.stringify(identityOf(schema, item)));
}

/** Items of sets and maps that are there twice: ValidateListSetsAndMaps. Sets and maps that had such before an update may have them after. */
function listProblems(schema: Schema, value: unknown): FieldError[] {
  const errors: FieldError[] = [];
  walkLists(schema, value, '', errors);
  return errors.slice(0, maxErrors);
}

function walkLists(schema: Schema, value: unknown, path: string, errors: FieldError[]): void {
  if (Array.isArray(value)) {
    if (schema.listType === 'set' || isKeyed(schema)) findTwins(schema, value, path, errors);
    if (schema.items !== undefined) for (const [i, item] of value.entries()) walkLists(schema.items, item, `${path}[${i}]`, errors);
    return;
  }
  if (!isObject(value)) return;
  for (const [name, item] of Object.entries(value)) {
    const declared = schema.properties !== undefined && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    const below = declared ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined);
    if (below !== undefined) walkLists(below, item, declared === undefined ? `${path}[${name}]` : join(path, name), errors);
  }
}

function findTwins(schema: Schema, value: readonly unknown[], path: string, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [i, item] of value.entries()) {
    const identity = identityOf(schema, item);
    const key = JSON.stringify(identity);
    if (seen.has(key)) errors.push(fieldDuplicate(`${path}[${i}]`, identity));
    seen.add(key);
  }
}

function checkValidations(v: SchemaValidations, value: unknown, path: string, errors: FieldError[]): void {
  if (isJsonNumber(value)) checkNumber(v, value, path, errors);
  else if (typeof value === 'string') checkString(v, value, path, errors);
  else if (Array.isArray(value)) {
    if (v.minItems !== undefined && value.length < v.minItems)
      errors.push(invalid(path, value.length, `should have at least ${v.minItems} items`));
    if (v.maxItems !== undefined && value.length > v.maxItems)
      errors.push({ field: path, type: 'FieldValueTooMany', message: `Too many: ${value.length}: must have at most ${v.maxItems} items` });
  } else if (typeof value === 'object' && value !== null) {
    const size = Object.keys(value).length;
    if (v.minProperties !== undefined && size < v.minProperties)
      errors.push(invalid(path, size, `should have at least ${v.minProperties} properties`));
    if (v.maxProperties !== undefined && size > v.maxProperties)
      errors.push({ field: path, type: 'FieldValueTooMany', message: `Too many: ${size}: must have at most ${v.maxProperties} items` });
  }
  checkCombined(v, value, path, errors);
}

function checkNumber(v: SchemaValidations, value: number | bigint, path: string, errors: FieldError[]): void {
  if (v.minimum !== undefined && (v.exclusiveMinimum === true ? value <= v.minimum : value < v.minimum))
    errors.push(invalid(path, value, `should be greater than ${v.exclusiveMinimum === true ? '' : 'or equal to '}${v.minimum}`));
  if (v.maximum !== undefined && (v.exclusiveMaximum === true ? value >= v.maximum : value > v.maximum))
    errors.push(invalid(path, value, `should be less than ${v.exclusiveMaximum === true ? '' : 'or equal to '}${v.maximum}`));
  if (v.multipleOf !== undefined && v.multipleOf !== 0 && !Number.isInteger(Number((Number(value) / v.multipleOf).toPrecision(12))))
    errors.push(invalid(path, value, `should be a multiple of ${v.multipleOf}`));
}

const patterns = new WeakMap<SchemaValidations, RE2JS | null>();

function patternOf(v: SchemaValidations): RE2JS | null {
  let pattern = patterns.get(v);
  if (pattern === undefined) {
    pattern = compilePattern(v.pattern ?? '') ?? null;
    patterns.set(v, pattern);
  }
  return pattern;
}

function checkString(v: SchemaValidations, value: string, path: string, errors: FieldError[]): void {
  const length = v.minLength === undefined && v.maxLength === undefined ? 0 : Array.from(value).length;
  if (v.minLength !== undefined && length < v.minLength) errors.push(invalid(path, value, `should be at least ${v.minLength} chars long`));
  if (v.maxLength !== undefined && length > v.maxLength)
    errors.push({ field: path, type: 'FieldValueTooLong', message: `Too long: may not be more than ${v.maxLength} bytes` });
  if (v.pattern !== undefined && patternOf(v)?.matcher(value).find() === false)
    errors.push(invalid(path, value, `should match '${v.pattern}'`));
}

function valid(schema: Schema, value: unknown): boolean {
  const errors: FieldError[] = [];
  check(schema, value, '', errors);
  return errors.length === 0;
}

function checkCombined(v: SchemaValidations, value: unknown, path: string, errors: FieldError[]): void {
  const wrong = (why: string): number =>
    errors.push({ field: path, type: 'FieldValueInvalid', message: `Invalid value: "": ${JSON.stringify(path)} must ${why}` });
  for (const schema of v.allOf ?? []) check(schema, value, path, errors);
  if (v.anyOf !== undefined && !v.anyOf.some((s) => valid(s, value))) wrong('validate at least one schema (anyOf)');
  if (v.oneOf !== undefined) {
    const count = v.oneOf.filter((s) => valid(s, value)).length;
    if (count !== 1)
      wrong(`validate one and only one schema (oneOf). ${count === 0 ? 'Found none valid' : `Found ${count} valid alternatives`}`);
  }
  if (v.not !== undefined && valid(v.not, value)) wrong('not validate the schema (not)');
}
