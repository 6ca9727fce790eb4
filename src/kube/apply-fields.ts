/** The set of fields that a configuration holds, and what is wrong with a configuration (structured-merge-diff/typed). */
import { isJsonNumber } from '#lib/exact-json.ts';
import { type FieldSet, fieldElement, formatFieldPath, insertPath } from './apply-set.ts';
import { type ApplyType, applyType, isAtomic, isDeclared, itemElement, memberSchema, shapeOf } from './apply-type.ts';
import { goPrint, isObject } from './json-value.ts';
import type { Resolve, Schema } from './schema.ts';

interface Walk {
  readonly resolve: Resolve;
  readonly set: FieldSet;
  readonly path: string[];
}

/** Every field that a configuration gives a value: leaves, atomic parts, list items, keys of free maps, empty structs. */
export function fieldSetOf(value: unknown, schema: Schema, resolve: Resolve): FieldSet {
  const w: Walk = { resolve, set: {}, path: [] };
  collect(w, applyType(schema, resolve), value);
  return w.set;
}

function collect(w: Walk, type: ApplyType, value: unknown): void {
  const shape = shapeOf(type, value);
  if (isAtomic(type, shape)) {
    if (w.path.length > 0) insertPath(w.set, w.path);
  } else if (shape === 'map') {
    if (isObject(value)) for (const [name, member] of Object.entries(value)) collectMember(w, type, name, member);
  } else if (Array.isArray(value)) collectItems(w, type, value);
}

function collectMember(w: Walk, type: ApplyType, name: string, member: unknown): void {
  const schema = memberSchema(type, name);
  w.path.push(fieldElement(name));
  if (schema !== undefined) collect(w, applyType(schema, w.resolve), member);
  const bare = member === null || (isObject(member) && Object.keys(member).length === 0);
  if (bare || !isDeclared(type, name)) insertPath(w.set, w.path);
  w.path.pop();
}

function collectItems(w: Walk, type: ApplyType, list: readonly unknown[]): void {
  const items = applyType(type.items ?? {}, w.resolve);
  const seen = new Map<string, number>();
  const elements: (string | undefined)[] = [];
  for (const item of list) {
    let element: string | undefined;
    try {
      element = itemElement(type, item);
      seen.set(element, (seen.get(element) ?? 0) + 1);
    } catch {
      element = undefined;
    }
    elements.push(element);
  }
  for (const [i, item] of list.entries()) {
    const element = elements[i];
    if (element === undefined) continue;
    w.path.push(element);
    insertPath(w.set, w.path);
    // Of items that share a key only the key is owned.
    if (seen.get(element) === 1 && type.keys !== undefined) collect(w, items, item);
    w.path.pop();
  }
}

interface Check {
  readonly resolve: Resolve;
  readonly errors: string[];
  readonly path: string[];
}

/**
 * What is wrong with an applied configuration: unknown fields, wrong types, list items without their keys, duplicates.
 * Texts as upstream's, each with its path.
 */
export function configurationErrors(value: unknown, schema: Schema, resolve: Resolve): string[] {
  const c: Check = { resolve, errors: [], path: [] };
  check(c, applyType(schema, resolve), value);
  return c.errors;
}

const report = (c: Check, message: string): number =>
  c.errors.push(c.path.length === 0 ? message : `${formatFieldPath(c.path)}: ${message}`);

function check(c: Check, type: ApplyType, value: unknown): void {
  if (value === null || value === undefined) return;
  if (type.kind === 'scalar') {
    checkScalar(c, type, value);
    return;
  }
  if (type.kind === 'list') {
    if (!Array.isArray(value)) report(c, `expected list, got ${goPrint(value)}`);
    else checkItems(c, type, value);
    return;
  }
  if (type.kind === 'map' && !isObject(value)) report(c, `expected map, got ${goPrint(value)}`);
  if (!isObject(value) || type.kind === 'any') return;
  for (const [name, member] of Object.entries(value)) {
    c.path.push(fieldElement(name));
    const schema = memberSchema(type, name);
    if (schema === undefined) report(c, 'field not declared in schema');
    else check(c, applyType(schema, c.resolve), member);
    c.path.pop();
  }
}

const scalarNames = { string: 'string', numeric: 'numeric (int or float)', boolean: 'boolean' };

function checkScalar(c: Check, type: ApplyType, value: unknown): void {
  if (typeof value === 'object')
    report(c, `expected ${type.scalar === undefined ? 'scalar' : scalarNames[type.scalar]}, got ${goPrint(value)}`);
  else if (type.scalar !== undefined && !(type.scalar === 'numeric' ? isJsonNumber(value) : typeof value === type.scalar)) {
    report(c, `expected ${scalarNames[type.scalar]}, got ${JSON.stringify(value)}`);
  }
}

function checkItems(c: Check, type: ApplyType, list: readonly unknown[]): void {
  const items = applyType(type.items ?? {}, c.resolve);
  const seen = new Set<string>();
  for (const [i, item] of list.entries()) {
    let element = `i:${i}`;
    if (!type.atomic) {
      try {
        element = itemElement(type, item);
      } catch (error) {
        report(c, `element ${i}: ${error instanceof Error ? error.message : String(error)}`);
        continue;
      }
      if (seen.has(element)) report(c, `duplicate entries for key ${formatFieldPath([element])}`);
      seen.add(element);
    }
    c.path.push(element);
    check(c, items, item);
    c.path.pop();
  }
}
