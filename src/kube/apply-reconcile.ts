/** What managers own after the schema of a kind has changed (typed.ReconcileFieldSetWithSchema). */
import { fieldSetOf } from './apply-fields.ts';
import { childOf, type FieldSet, isEmptySet } from './apply-set.ts';
import { type ApplyType, applyType, itemElements, memberSchema, shapeOf } from './apply-type.ts';
import { isObject } from './json-value.ts';
import type { Resolve, Schema } from './schema.ts';

interface Walk {
  readonly resolve: Resolve;
  readonly path: string[];
  /** What all managers own together. */
  readonly owned: FieldSet;
  /** The whole field set of the live object; made when it is first needed. */
  readonly liveSet: () => FieldSet;
}

/**
 * The set as it would be under today's schema: what has become atomic is owned as a whole, what has become granular is owned
 * part by part as the live object has it. Gives the same set back when nothing changed.
 *
 * `owned` is what all managers own together. A manager may own a granular map without owning anything in it (it applied {}); upstream
 * takes that for a map that was atomic and makes it the owner of all that others have put there since. Here it is taken
 * so only where nobody owns a part, as is the case when it was atomic.
 */
export function reconcileWithSchema(set: FieldSet, live: unknown, schema: Schema, resolve: Resolve, owned: FieldSet): FieldSet {
  let made: FieldSet | undefined;
  const liveSet = (): FieldSet => {
    made ??= fieldSetOf(live, schema, resolve);
    return made;
  };
  return children({ resolve, path: [], owned, liveSet }, set, applyType(schema, resolve), live);
}

function node(w: Walk, set: FieldSet, type: ApplyType, value: unknown): FieldSet {
  if (type.kind === 'any' || shapeOf(type, value ?? null) === 'scalar') return set;
  if (type.atomic) return isEmptySet(set) ? set : {};
  if (!isEmptySet(set)) return children(w, set, type, value);
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) return set;
  const others = subtree(w.owned, w.path);
  if (others !== undefined && !isEmptySet(others)) return set;
  const granular = subtree(w.liveSet(), w.path);
  return granular === undefined || isEmptySet(granular) ? set : { ...granular, '.': {} };
}

function subtree(root: FieldSet, path: readonly string[]): FieldSet | undefined {
  let at: FieldSet | undefined = root;
  for (const element of path) at = childOf(at, element);
  return at;
}

function children(w: Walk, set: FieldSet, type: ApplyType, value: unknown): FieldSet {
  const find = finder(type, value);
  let out: Record<string, FieldSet> | undefined;
  for (const element in set) {
    if (element === '.') continue;
    const use = element.startsWith('f:') ? memberSchema(type, element.slice(2)) : type.items;
    if (use === undefined) continue;
    const child = set[element] ?? {};
    w.path.push(element);
    const made = node(w, child, applyType(use, w.resolve), find(element));
    w.path.pop();
    if (made === child) continue;
    out ??= { ...set };
    out[element] = made;
  }
  return out ?? set;
}

/** Finds what a path element stands for in a value. */
function finder(type: ApplyType, value: unknown): (element: string) => unknown {
  if (isObject(value)) return (element) => (Object.hasOwn(value, element.slice(2)) ? value[element.slice(2)] : undefined);
  if (!Array.isArray(value)) return () => undefined;
  let index: Map<string | undefined, unknown> | undefined;
  return (element) => {
    index ??= new Map(itemElements(type, value).map((e, i) => [e, value[i]]));
    return index.get(element);
  };
}
