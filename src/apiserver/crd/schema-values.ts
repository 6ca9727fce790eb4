/**
 * Values against an OpenAPI schema, with the texts and in the order of k8s.io/kube-openapi pkg/validation/validate. What an update
 * leaves as it was is tolerated (CRDValidationRatcheting).
 */
import type { RE2JS } from 're2js';
import { formatProblem, isKnownFormat } from '#kube/crd/formats.ts';
import { isObject, jsonEqual, own } from '#kube/json-value.ts';
import type { Schema, SchemaValidations } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotSupported, fieldRequired, fieldTooLong, fieldTooMany } from '#kube/validation/field-error.ts';
import { isJsonNumber } from '#lib/exact-json.ts';
import { itemsByIdentity } from './list-types.ts';
import { compilePattern } from './schema.ts';

/** No more errors than this are told. */
export const maxErrors = 100;

/** What stood at this place before the update; undefined where there is no such place. */
export type Before = { readonly value: unknown } | undefined;

/** What was found so far. */
interface Found {
  readonly errors: FieldError[];
  /** How many checks were made, as upstream counts them: of several schemas that fail, the one with the most tells why. */
  matches: number;
  /** The field that the value checked is in, '' for a whole object. */
  readonly base: string;
}

/** What is wrong with a value. `base`: the field that it is in; messages name only what is below it. */
export function valueErrors(schema: Schema, value: unknown, base: string, before?: Before): FieldError[] {
  const found: Found = { errors: [], matches: 0, base };
  check(schema, value, '', found, before);
  return found.errors.slice(0, maxErrors);
}

const fieldAt = ({ base }: Found, path: string): string => (base === '' ? path : path === '' ? base : `${base}.${path}`) || '<nil>';

const shown = (value: unknown): unknown => {
  const text = JSON.stringify(value);
  return text.length > 512 ? `${text.slice(0, 512)}...` : value;
};

function invalid(found: Found, path: string, value: unknown, why: string, type: FieldError['type'] = 'FieldValueInvalid'): void {
  found.errors.push({ ...fieldInvalid(fieldAt(found, path), shown(value), `${path} in body ${why}`), type });
}

function typeInvalid(found: Found, path: string, actual: string, expected: string): void {
  invalid(found, path, actual, `must be of type ${expected}: ${JSON.stringify(actual)}`, 'FieldValueTypeInvalid');
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'bigint') return 'integer';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

const formatOfType: Readonly<Record<string, string>> = { integer: 'int64', number: 'float64' };

function check(schema: Schema, value: unknown, path: string, found: Found, before?: Before): void {
  if (found.errors.length >= maxErrors) return;
  if (before !== undefined && jsonEqual(value, before.value)) return;
  checkType(schema, value, path, found);
  if (value === null) {
    checkEnum(schema, value, path, found);
    return;
  }
  const { validations: v } = schema;
  if (v !== undefined) checkCombined(v, value, path, found);
  // Those that apply to schemas and to all values: their count is upstream's, and so is one for the schema itself.
  found.matches += 4;
  if (typeof value === 'string') checkString(schema, value, path, found);
  else if (isJsonNumber(value)) {
    if (v !== undefined) checkNumber(v, value, path, found);
    found.matches += 2;
  } else if (Array.isArray(value)) checkList(schema, value, path, found, before);
  checkEnum(schema, value, path, found);
  if (isObject(value)) checkObject(schema, value, path, found, before);
}

function checkType(schema: Schema, value: unknown, path: string, found: Found): void {
  const intOrString = schema.format === 'int-or-string';
  const wanted = intOrString ? ['integer', 'string'] : schema.type === undefined ? [] : [schema.type];
  const format = schema.format !== undefined && isKnownFormat(schema.format) ? schema.format : undefined;
  if (wanted.length === 0 && format === undefined) return;
  found.matches++;
  const actual = typeOf(value);
  if (value === null) {
    if (wanted.length > 0 && schema.nullable !== true) typeInvalid(found, path, actual, wanted.join(','));
    else found.matches++;
    return;
  }
  const fits = wanted.includes(actual) || (actual === 'integer' && wanted.includes('number'));
  const isText = actual === 'string' || actual === 'array';
  if (!fits && format !== undefined && !isText) typeInvalid(found, path, formatOfType[actual] ?? '', format);
  else if (!fits && wanted.length > 0) typeInvalid(found, path, actual, wanted.join(','));
  else found.matches++;
}

function checkEnum(schema: Schema, value: unknown, path: string, found: Found): void {
  // Upstream never takes null for a value of an enum, be it among them or not.
  if (schema.enum === undefined || schema.enum.length === 0 || (value !== null && schema.enum.some((v) => jsonEqual(v, value)))) return;
  const supported = schema.enum.map((v) => (typeof v === 'string' ? v : JSON.stringify(v)));
  found.errors.push(fieldNotSupported(fieldAt(found, path), value, supported));
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

function checkObject(schema: Schema, value: Record<string, unknown>, path: string, found: Found, before: Before): void {
  found.matches++;
  const { minProperties, maxProperties } = schema.validations ?? {};
  const size = Object.keys(value).length;
  if (minProperties !== undefined && size < minProperties) {
    invalid(found, path, size, `should have at least ${minProperties} properties`);
    return;
  }
  if (maxProperties !== undefined && size > maxProperties) {
    found.errors.push(fieldTooMany(fieldAt(found, path), size, maxProperties));
    return;
  }
  const properties = schema.properties ?? {};
  const values = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
  const old = isObject(before?.value) ? before.value : undefined;
  for (const [name, item] of Object.entries(value)) {
    const below = (own(properties, name) as Schema | undefined) ?? values;
    if (below === undefined) continue;
    check(below, item, join(path, name), found, old !== undefined && Object.hasOwn(old, name) ? { value: old[name] } : undefined);
  }
  for (const name of schema.required ?? [])
    if (!Object.hasOwn(value, name)) found.errors.push(fieldRequired(fieldAt(found, join(path, name))));
}

function checkList(schema: Schema, value: readonly unknown[], path: string, found: Found, before: Before): void {
  found.matches += 2;
  if (schema.items !== undefined) {
    const beforeOf = itemsByIdentity(schema, before?.value);
    for (const [i, item] of value.entries()) check(schema.items, item, `${path}[${i}]`, found, beforeOf(item));
  }
  const { minItems, maxItems } = schema.validations ?? {};
  if (minItems !== undefined && value.length < minItems) invalid(found, path, value.length, `should have at least ${minItems} items`);
  if (maxItems !== undefined && value.length > maxItems) found.errors.push(fieldTooMany(fieldAt(found, path), value.length, maxItems));
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

function checkString(schema: Schema, value: string, path: string, found: Found): void {
  found.matches++;
  checkText(schema.validations ?? {}, value, path, found);
  const { format } = schema;
  if (format === undefined || !isKnownFormat(format)) return;
  found.matches++;
  if (formatProblem(format, value))
    invalid(found, path, value, `must be of type ${format}: ${JSON.stringify(value)}`, 'FieldValueTypeInvalid');
}

/** Only the first problem is told. */
function checkText(v: SchemaValidations, value: string, path: string, found: Found): void {
  const length = v.maxLength === undefined && v.minLength === undefined ? 0 : Array.from(value).length;
  if (v.maxLength !== undefined && length > v.maxLength) found.errors.push(fieldTooLong(fieldAt(found, path), v.maxLength));
  else if (v.minLength !== undefined && length < v.minLength) invalid(found, path, value, `should be at least ${v.minLength} chars long`);
  else if (v.pattern !== undefined && v.pattern !== '' && patternOf(v)?.matcher(value).find() === false)
    invalid(found, path, value, `should match '${v.pattern}'`);
}

/** A number as Go's %v prints a float64. */
function goFloat(value: number): string {
  const [digits = '', exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** Bounds of integers are integers to upstream, too. */
function checkNumber(v: SchemaValidations, value: number | bigint, path: string, found: Found): void {
  const whole = typeof value === 'bigint' || Number.isInteger(value);
  const bound = (limit: number): number => (whole ? Math.trunc(limit) : limit);
  const text = (limit: number): string => (whole ? String(BigInt(Math.trunc(limit))) : goFloat(limit));
  if (v.multipleOf !== undefined && !isMultiple(value, v.multipleOf, whole))
    invalid(found, path, value, `should be a multiple of ${text(v.multipleOf)}`);
  if (v.minimum !== undefined && (v.exclusiveMinimum === true ? value <= bound(v.minimum) : value < bound(v.minimum)))
    invalid(found, path, value, `should be greater than ${v.exclusiveMinimum === true ? '' : 'or equal to '}${text(v.minimum)}`);
  if (v.maximum !== undefined && (v.exclusiveMaximum === true ? value >= bound(v.maximum) : value > bound(v.maximum)))
    invalid(found, path, value, `should be less than ${v.exclusiveMaximum === true ? '' : 'or equal to '}${text(v.maximum)}`);
}

function isMultiple(value: number | bigint, factor: number, whole: boolean): boolean {
  if (factor === 0) return true;
  if (whole && Number.isInteger(factor)) return BigInt(value) % BigInt(factor) === 0n;
  const quotient = factor < 1 ? (1 / factor) * Number(value) : Number(value) / factor;
  const rounded = Math.round(quotient);
  // swag.IsFloat64AJSONInteger: within a relative 1e-9.
  return quotient === rounded || Math.abs(quotient - rounded) < 1e-9 * Math.max(1, Math.abs(quotient));
}

/** Checks a value by another schema, by itself. */
function tried(schema: Schema, value: unknown, path: string, { base }: Found): Found {
  const found: Found = { errors: [], matches: 0, base };
  check(schema, value, path, found);
  return found;
}

/** Takes over what was found elsewhere; the same is not told twice. */
function merge(into: Found, other: Found | undefined): void {
  if (other === undefined) return;
  into.matches += other.matches;
  for (const e of other.errors)
    if (!into.errors.some((known) => known.field === e.field && known.message === e.message)) into.errors.push(e);
}

const bestOf = (results: readonly Found[]): Found | undefined =>
  results.reduce<Found | undefined>((best, r) => (best === undefined || r.matches > best.matches ? r : best), undefined);

function checkCombined(v: SchemaValidations, value: unknown, path: string, found: Found): void {
  const wrong = (why: string): number =>
    found.errors.push(fieldInvalid(found.base === '' ? '<nil>' : found.base, '', `${JSON.stringify(path)} must ${why}`));
  const isValid = (r: Found): boolean => r.errors.length === 0;
  if (v.anyOf !== undefined && v.anyOf.length > 0) {
    const failed: Found[] = [];
    let success: Found | undefined;
    for (const schema of v.anyOf) {
      const result = tried(schema, value, path, found);
      if (isValid(result)) success = result;
      else failed.push(result);
      if (success !== undefined) break;
    }
    if (success === undefined) wrong('validate at least one schema (anyOf)');
    merge(found, success ?? bestOf(failed));
  }
  if (v.oneOf !== undefined && v.oneOf.length > 0) {
    const results = v.oneOf.map((schema) => tried(schema, value, path, found));
    const valid = results.filter(isValid);
    if (valid.length === 1) merge(found, valid[0]);
    else {
      const count = valid.length === 0 ? 'Found none valid' : `Found ${valid.length} valid alternatives`;
      wrong(`validate one and only one schema (oneOf). ${count}`);
      if (valid.length === 0) merge(found, bestOf(results));
    }
  }
  if (v.allOf !== undefined && v.allOf.length > 0) {
    const results = v.allOf.map((schema) => tried(schema, value, path, found));
    for (const result of results) merge(found, result);
    const valid = results.filter(isValid).length;
    if (valid < results.length) wrong(`validate all the schemas (allOf)${valid === 0 ? '. None validated' : ''}`);
  }
  if (v.not !== undefined && isValid(tried(v.not, value, path, found))) wrong('not validate the schema (not)');
}
