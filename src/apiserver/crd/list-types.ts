/** Lists that are sets or maps: k8s.io/apiextensions-apiserver pkg/apiserver/schema/listtype/validation.go. */
import { isObject, own } from '#kube/json-value.ts';
import type { Schema } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldInvalid } from '#kube/validation/field-error.ts';

/** No more errors than this are told. */
const maxErrors = 100;

const isKeyed = (schema: Schema): boolean => schema.listType === 'map';

/** What makes an item of a list the item that it is: its keys with their defaults, or all of it. */
function identityOf(schema: Schema, item: unknown): unknown {
  if (!isKeyed(schema)) return item;
  const keys = schema.listMapKeys ?? [];
  const at = (key: string): unknown => (isObject(item) ? own(item, key) : undefined) ?? schema.items?.properties?.[key]?.default;
  return Object.fromEntries(keys.map((key) => [key, at(key)]));
}

/** The items before an update by their keys: only in lists that are maps an item is known again. */
export function itemsByIdentity(schema: Schema, before: unknown): (item: unknown) => { readonly value: unknown } | undefined {
  if (!isKeyed(schema) || !Array.isArray(before)) return () => undefined;
  const known = new Map(before.map((item: unknown) => [JSON.stringify(identityOf(schema, item)), { value: item }]));
  return (item) => known.get(JSON.stringify(identityOf(schema, item)));
}

/** Items of sets and maps that are there twice: ValidateListSetsAndMaps. */
export function listTypeErrors(schema: Schema, value: unknown): FieldError[] {
  const errors: FieldError[] = [];
  walk(schema, value, '', errors);
  return errors.slice(0, maxErrors);
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

function walk(schema: Schema, value: unknown, path: string, errors: FieldError[]): void {
  if (Array.isArray(value)) {
    if (schema.listType === 'set' || isKeyed(schema)) findTwins(schema, value, path, errors);
    if (schema.items !== undefined) for (const [i, item] of value.entries()) walk(schema.items, item, `${path}[${i}]`, errors);
    return;
  }
  if (!isObject(value)) return;
  for (const [name, item] of Object.entries(value)) {
    const declared = own(schema.properties ?? {}, name) as Schema | undefined;
    const below = declared ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined);
    if (below !== undefined) walk(below, item, declared === undefined ? `${path}[${name}]` : join(path, name), errors);
  }
}

/** Tells the second of the same items, not those after it. */
function findTwins(schema: Schema, value: readonly unknown[], path: string, errors: FieldError[]): void {
  const odd = isKeyed(schema) ? value.findIndex((item) => item !== null && !isObject(item)) : -1;
  if (odd >= 0) {
    errors.push(fieldInvalid(`${path}[${odd}]`, value[odd], 'must be an object for an array of list-type map'));
    return;
  }
  const seen = new Map<string, number>();
  for (const [i, item] of value.entries()) {
    const identity = identityOf(schema, item);
    const key = JSON.stringify(identity);
    const times = seen.get(key) ?? 0;
    if (times === 1) errors.push(fieldDuplicate(`${path}[${i}]`, identity));
    seen.set(key, times + 1);
  }
}
