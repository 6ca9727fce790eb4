/**
 * Merging an applied configuration into the live object, and taking fields out of an object
 * (structured-merge-diff/typed Merge and RemoveItems). Arguments are never changed; results share parts with them.
 */
import { childOf, type FieldSet, fieldElement, isEmptySet, isMember } from './apply-set.ts';
import { type ApplyType, applyType, isAtomic, isDeclared, itemElements, memberSchema, shapeOf } from './apply-type.ts';
import { isObject, type JsonObject, put } from './json-value.ts';
import type { Resolve, Schema } from './schema.ts';

const sizeOf = (value: unknown): number => (typeof value === 'object' && value !== null ? Object.keys(value).length : 0);

/** The live object with everything that the configuration says. */
export function mergeObjects(live: unknown, configuration: unknown, schema: Schema, resolve: Resolve): unknown {
  return merge(resolve, applyType(schema, resolve), live, configuration);
}

function merge(resolve: Resolve, type: ApplyType, left: unknown, right: unknown): unknown {
  if (right === undefined) return left;
  if (left === undefined) return right;
  const shape = right === null ? shapeOf(type, left) : shapeOf(type, right);
  if (left !== null && right !== null && shapeOf(type, left) !== shapeOf(type, right)) return right;
  if (isAtomic(type, shape) || (sizeOf(left) === 0 && sizeOf(right) === 0)) return right;
  if (right === null) return left;
  if (shape === 'map' && isObject(right)) return isObject(left) ? mergeMembers(resolve, type, left, right) : right;
  if (Array.isArray(right)) return Array.isArray(left) ? mergeItems(resolve, type, left, right) : right;
  return right;
}

function mergeMembers(resolve: Resolve, type: ApplyType, left: JsonObject, right: JsonObject): JsonObject {
  const out: JsonObject = { ...left };
  for (const [name, value] of Object.entries(right)) {
    const schema = memberSchema(type, name);
    const current = Object.hasOwn(left, name) ? left[name] : undefined;
    put(out, name, schema === undefined ? value : merge(resolve, applyType(schema, resolve), current, value));
  }
  return out;
}

/**
 * Items of both lists. Those of the configuration come in its order; those that only the live object has keep their places among
 * the ones that both have. Items that share a key are replaced by the configuration's one.
 */
function mergeItems(resolve: Resolve, type: ApplyType, left: readonly unknown[], right: readonly unknown[]): unknown[] {
  const items = applyType(type.items ?? {}, resolve);
  const leftElements = itemElements(type, left);
  const rightElements = itemElements(type, right);
  const byElement = new Map<string, unknown[]>();
  for (const [i, element] of leftElements.entries()) {
    if (element !== undefined) byElement.set(element, [...(byElement.get(element) ?? []), left[i]]);
  }
  const inRight = new Set(rightElements);
  const shared = rightElements.filter((e) => e !== undefined && byElement.has(e));
  let next = 0;
  const out: unknown[] = [];
  const taken = new Set<string>();
  const take = (r: number): void => {
    const element = rightElements[r];
    const partners = element === undefined ? undefined : byElement.get(element);
    out.push(partners?.length === 1 ? merge(resolve, items, partners[0], right[r]) : right[r]);
    if (element !== undefined) taken.add(element);
    if (element === shared[next]) next++;
  };
  let l = 0;
  let r = 0;
  while (l < left.length || r < right.length) {
    const element = leftElements[l];
    if (l < left.length && (element === undefined || !inRight.has(element))) {
      out.push(left[l++]);
    } else if (l < left.length && (taken.has(element ?? '') || (r < right.length && shared[next] !== element))) {
      l++;
    } else if (r < right.length) {
      if (l < left.length && element === rightElements[r]) l++;
      take(r++);
    } else l++;
  }
  return out;
}

/** The object without the given fields; maps and lists that this empties become null, as upstream's do (typed/remove.go). */
export function removeFields(value: unknown, fields: FieldSet, schema: Schema, resolve: Resolve): unknown {
  return remove(resolve, applyType(schema, resolve), value, fields) ?? {};
}

function remove(resolve: Resolve, type: ApplyType, value: unknown, fields: FieldSet): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (isAtomic(type, shapeOf(type, value))) return null;
  if (Array.isArray(value)) return removeItems(resolve, type, value, fields);
  const out: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    const below = childOf(fields, fieldElement(name));
    if (below === undefined) put(out, name, member);
    else if (!isMember(below)) {
      const schema = memberSchema(type, name);
      put(out, name, schema === undefined ? member : remove(resolve, applyType(schema, resolve), member, below));
    }
  }
  return sizeOf(out) === 0 ? null : out;
}

function removeItems(resolve: Resolve, type: ApplyType, list: readonly unknown[], fields: FieldSet): unknown[] | null {
  const items = applyType(type.items ?? {}, resolve);
  const out: unknown[] = [];
  for (const [i, element] of itemElements(type, list).entries()) {
    const below = element === undefined ? undefined : childOf(fields, element);
    if (below === undefined) out.push(list[i]);
    else if (!isMember(below)) {
      out.push(remove(resolve, items, list[i], below));
    }
  }
  return out.length === 0 ? null : out;
}

/**
 * The set with every declared field on the way to a member made a member too: so a struct counts as owned by whoever owns
 * something in it (fieldpath.Set EnsureNamedFieldsAreMembers).
 */
export function withDeclaredParents(set: FieldSet, schema: Schema, resolve: Resolve): FieldSet {
  const walk = (node: FieldSet, type: ApplyType | undefined): FieldSet => {
    const out: Record<string, FieldSet> = {};
    for (const element in node) {
      const child = node[element] ?? {};
      if (element === '.' || isEmptySet(child)) {
        out[element] = child;
        continue;
      }
      const name = element.startsWith('f:') ? element.slice(2) : undefined;
      const use = type === undefined ? undefined : name === undefined ? type.items : memberSchema(type, name);
      const made = walk(child, use === undefined ? undefined : applyType(use, resolve));
      const declared = name !== undefined && type !== undefined && isDeclared(type, name);
      out[element] = declared ? { ...made, '.': {} } : made;
    }
    return out;
  };
  return walk(set, applyType(schema, resolve));
}
