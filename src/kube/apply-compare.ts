/** Which fields a change adds, modifies and removes (structured-merge-diff/typed Compare). */
import { type FieldSet, fieldElement, insertPath, isEmptySet, recursiveDifference, union } from './apply-set.ts';
import { type ApplyType, applyType, isAtomic, itemElements, memberSchema, shapeOf } from './apply-type.ts';
import { isObject, type JsonObject, jsonEqual } from './json-value.ts';
import type { Resolve, Schema } from './schema.ts';

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

interface Walk extends Comparison {
  readonly resolve: Resolve;
  readonly path: string[];
}

/** Compares two objects of one schema. Parts that are the same object on both sides cost nothing. */
export function compareObjects(before: unknown, after: unknown, schema: Schema, resolve: Resolve): Comparison {
  const w: Walk = { added: {}, modified: {}, removed: {}, resolve, path: [] };
  compare(w, applyType(schema, resolve), before, after);
  return w;
}

export const isSame = (c: Comparison): boolean => isEmptySet(c.added) && isEmptySet(c.modified) && isEmptySet(c.removed);

/** The comparison without the given fields and what is below them. */
export function excludeFields(c: Comparison, fields: FieldSet): Comparison {
  return {
    added: recursiveDifference(c.added, fields),
    modified: recursiveDifference(c.modified, fields),
    removed: recursiveDifference(c.removed, fields),
  };
}

/** What is now different from before, removals aside. */
export const changedFields = (c: Comparison): FieldSet => union(c.modified, c.added);

function note(set: FieldSet, path: readonly string[]): void {
  if (path.length > 0) insertPath(set, path);
}

function compareLeaf(w: Walk, before: unknown, after: unknown): void {
  if (before === undefined) note(w.added, w.path);
  else if (after === undefined) note(w.removed, w.path);
  else if (!jsonEqual(before, after)) note(w.modified, w.path);
}

function compare(w: Walk, type: ApplyType, before: unknown, after: unknown): void {
  if (before === after) return;
  const left = before === undefined || before === null ? undefined : shapeOf(type, before);
  const right = after === undefined || after === null ? undefined : shapeOf(type, after);
  if (left !== undefined && right !== undefined && left !== right) {
    compareLeaf(w, before, after);
    if (left === 'map' && isObject(before)) compareMembers(w, type, before, undefined);
    if (right === 'map' && isObject(after)) compareMembers(w, type, undefined, after);
    return;
  }
  const shape = right ?? left ?? shapeOf(type, null);
  const empty = isBare(before) && isBare(after);
  if (isAtomic(type, shape) || empty) {
    compareLeaf(w, before, after);
    return;
  }
  if (shape === 'map') compareMembers(w, type, isObject(before) ? before : undefined, isObject(after) ? after : undefined);
  else compareItems(w, type, Array.isArray(before) ? before : [], Array.isArray(after) ? after : []);
  if (before === undefined) note(w.added, w.path);
  else if (after === undefined) note(w.removed, w.path);
}

function isBare(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === 'object' && (Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0);
}

function compareMembers(w: Walk, type: ApplyType, before: JsonObject | undefined, after: JsonObject | undefined): void {
  const left = withZeros(type, before, after);
  const right = withZeros(type, after, before);
  if (right !== undefined) {
    for (const name of Object.keys(right))
      compareMember(w, type, name, left !== undefined && Object.hasOwn(left, name) ? left[name] : undefined, right[name]);
  }
  if (left === undefined) return;
  for (const name of Object.keys(left)) {
    if (right === undefined || !Object.hasOwn(right, name)) compareMember(w, type, name, left[name], undefined);
  }
}

/** `object`, with the zero values that Go writes for fields that only the other side has. */
function withZeros(type: ApplyType, object: JsonObject | undefined, other: JsonObject | undefined): JsonObject | undefined {
  if (object === undefined || other === undefined) return object;
  let out = object;
  for (const [name, zero] of type.zeros) {
    if (Object.hasOwn(object, name) || !Object.hasOwn(other, name)) continue;
    if (out === object) out = { ...object };
    out[name] = zero;
  }
  return out;
}

function compareMember(w: Walk, type: ApplyType, name: string, before: unknown, after: unknown): void {
  if (before === after) return;
  w.path.push(fieldElement(name));
  const schema = memberSchema(type, name);
  if (schema === undefined) compareLeaf(w, before, after);
  else compare(w, applyType(schema, w.resolve), before, after);
  w.path.pop();
}

/** Items by path element; items that share one are compared together. */
function group(elements: readonly (string | undefined)[], list: readonly unknown[]): Map<string, unknown[]> {
  const out = new Map<string, unknown[]>();
  for (const [i, element] of elements.entries()) {
    if (element === undefined) continue;
    const items = out.get(element);
    if (items === undefined) out.set(element, [list[i]]);
    else items.push(list[i]);
  }
  return out;
}

function compareItems(w: Walk, type: ApplyType, before: readonly unknown[], after: readonly unknown[]): void {
  const items = applyType(type.items ?? {}, w.resolve);
  const left = group(itemElements(type, before), before);
  const right = group(itemElements(type, after), after);
  const at = (element: string, l: readonly unknown[] | undefined, r: readonly unknown[] | undefined): void => {
    w.path.push(element);
    if ((l === undefined || l.length === 1) && (r === undefined || r.length === 1)) compare(w, items, l?.[0], r?.[0]);
    else {
      // Of items that share a key only the key is compared: what a single one had of its own is gone, or new.
      if (type.keys !== undefined && l?.length === 1) compare(w, items, l[0], undefined);
      compareLeaf(w, l, r);
    }
    w.path.pop();
  };
  for (const [element, r] of right) at(element, left.get(element), r);
  for (const [element, l] of left) if (!right.has(element)) at(element, l, undefined);
}
