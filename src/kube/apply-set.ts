import { parseExact } from '#lib/exact-json.ts';

/**
 * Sets of field paths, in the form in which managedFields carry them (fieldsV1): a tree of path elements, "f:name" for a
 * field, 'k:{"name":"x"}' for an item of a list that is a map, 'v:"x"' for an item of a list that is a set. An element that
 * has nothing below it is in the set; one that has is in the set if "." is below it. At the root, an empty tree is the
 * empty set. Every key is prefixed, so a plain object is safe whatever clients call their fields.
 *
 * Operations never change their arguments, and give the very same object back where nothing changes: that is what makes a
 * write that changes little cheap, and "did anything change" a comparison of references.
 */
export interface FieldSet {
  readonly [element: string]: FieldSet;
}

type Draft = Record<string, FieldSet>;

const self = '.';
const leaf: FieldSet = Object.freeze({});

export const emptySet: FieldSet = leaf;

const hasOwn = (node: FieldSet, key: string): boolean => Object.hasOwn(node, key);

/** True for a tree with nothing in it: the empty set at the root, a member without children below. */
export function isEmptySet(node: FieldSet): boolean {
  for (const _ in node) return false;
  return true;
}

/** Whether the element whose subtree this is is itself in the set. */
export const isMember = (node: FieldSet): boolean => hasOwn(node, self) || isEmptySet(node);

/** The subtree of an element. */
export const childOf = (node: FieldSet | undefined, element: string): FieldSet | undefined =>
  node !== undefined && hasOwn(node, element) ? node[element] : undefined;

/** Nodes below which insertPath has put something: asking whether a large one is empty lists all its keys, for each key that is added. */
const filled = new WeakSet<FieldSet>();

/** Adds a path to a set under construction. */
export function insertPath(root: FieldSet, path: readonly string[]): void {
  let at = root as Draft;
  for (const [i, element] of path.entries()) {
    const existing = at[element];
    if (existing === undefined) {
      const made: Draft = {};
      at[element] = made;
      filled.add(at);
      at = made;
      continue;
    }
    const isEmpty = !filled.has(existing) && isEmptySet(existing);
    if (isEmpty !== (i === path.length - 1)) (existing as Draft)[self] = leaf;
    at = existing as Draft;
  }
}

/** Whether a path is in the set. */
export function hasPath(root: FieldSet, path: readonly string[]): boolean {
  let at: FieldSet | undefined = root;
  for (const element of path) {
    at = childOf(at, element);
    if (at === undefined) return false;
  }
  return path.length > 0 && isMember(at);
}

/** A subtree made of its children and whether its element is a member; undefined where neither is. */
function assemble(children: Draft, member: boolean): FieldSet | undefined {
  if (isEmptySet(children)) return member ? leaf : undefined;
  if (member) children[self] = leaf;
  return children;
}

function childrenOf(node: FieldSet): Draft {
  const { [self]: _, ...children } = node;
  return children;
}

type Combine = (a: FieldSet, b: FieldSet) => FieldSet | undefined;

function differenceNode(a: FieldSet, b: FieldSet, recursive: boolean): FieldSet | undefined {
  const memberB = isMember(b);
  if (recursive && memberB) return undefined;
  const memberA = isMember(a);
  const children = subtract(a, b, recursive);
  if (children === undefined) {
    if (!(memberA && memberB)) return a;
    return assemble(childrenOf(a), false);
  }
  return assemble(children, memberA && !memberB);
}

/** The children of `a` without those of `b`; undefined where that changes nothing. */
function subtract(a: FieldSet, b: FieldSet, recursive: boolean): Draft | undefined {
  let out: Draft | undefined;
  for (const element in b) {
    if (element === self || !hasOwn(a, element)) continue;
    const left = a[element] ?? leaf;
    const rest = differenceNode(left, b[element] ?? leaf, recursive);
    if (rest === left) continue;
    out ??= childrenOf(a);
    if (rest === undefined) delete out[element];
    else out[element] = rest;
  }
  return out;
}

/** What is in `a` and not in `b`. */
export const difference = (a: FieldSet, b: FieldSet): FieldSet => subtract(a, b, false) ?? a;

/** What is in `a` and neither in `b` nor below something in `b`. */
export const recursiveDifference = (a: FieldSet, b: FieldSet): FieldSet => subtract(a, b, true) ?? a;

const unionNode: Combine = (a, b) => {
  const member = isMember(a) || isMember(b);
  const children = addChildren(a, b);
  if (children === undefined) return member === isMember(a) ? a : assemble(childrenOf(a), member);
  return assemble(children, member);
};

function addChildren(a: FieldSet, b: FieldSet): Draft | undefined {
  let out: Draft | undefined;
  for (const element in b) {
    if (element === self) continue;
    const right = b[element] ?? leaf;
    const left = childOf(a, element);
    const both = left === undefined ? right : unionNode(left, right);
    if (both === undefined || both === left) continue;
    out ??= childrenOf(a);
    out[element] = both;
  }
  return out;
}

/** What is in `a` or in `b`. */
export const union = (a: FieldSet, b: FieldSet): FieldSet => addChildren(a, b) ?? a;

const intersectionNode: Combine = (a, b) => assemble(common(a, b), isMember(a) && isMember(b));

function common(a: FieldSet, b: FieldSet): Draft {
  const out: Draft = {};
  for (const element in b) {
    if (element === self || !hasOwn(a, element)) continue;
    const both = intersectionNode(a[element] ?? leaf, b[element] ?? leaf);
    if (both !== undefined) out[element] = both;
  }
  return out;
}

/** What is in both. */
export const intersection = (a: FieldSet, b: FieldSet): FieldSet => common(a, b);

/** Same members. */
export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((k) => hasOwn(b, k) && equalSets(a[k] ?? leaf, b[k] ?? leaf));
}

/** The paths in a set, in the order in which it is written. */
export function pathsOf(root: FieldSet): (readonly string[])[] {
  const out: (readonly string[])[] = [];
  const walk = (node: FieldSet, path: readonly string[]): void => {
    for (const element of Object.keys(node).sort(compareElements)) {
      if (element === self) continue;
      const child = node[element] ?? leaf;
      const at = [...path, element];
      if (isMember(child)) out.push(at);
      walk(child, at);
    }
  };
  walk(root, []);
  return out;
}

const ranks: Readonly<Record<string, number>> = { '.': 0, f: 1, k: 2, v: 3, i: 4 };

/** Fields before keys before values before indexes, each by its text; "." first. */
export function compareElements(a: string, b: string): number {
  const byKind = (ranks[a.charAt(0)] ?? 9) - (ranks[b.charAt(0)] ?? 9);
  if (byKind !== 0) return byKind;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The same set with its elements in the order in which upstream writes them. */
export function sortedSet(node: FieldSet): FieldSet {
  const out: Draft = {};
  for (const element of Object.keys(node).sort(compareElements)) out[element] = sortedSet(node[element] ?? leaf);
  return out;
}

export const fieldElement = (name: string): string => `f:${name}`;
export const valueElement = (value: unknown): string => `v:${JSON.stringify(value)}`;

/** The element of a list item by its key fields, which are given in alphabetical order. */
export const keyElement = (fields: readonly (readonly [string, unknown])[]): string =>
  `k:{${fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;

const printValue = (value: unknown): string => JSON.stringify(value) ?? 'null';

/** A path as messages show it: .spec.containers[name="web"].image */
export function formatFieldPath(path: readonly string[]): string {
  return path
    .map((element) => {
      const text = element.slice(2);
      if (element.startsWith('f:')) return `.${text}`;
      if (element.startsWith('i:')) return `[${text}]`;
      if (element.startsWith('v:')) return `[=${text}]`;
      const fields = Object.entries(parseExact(text) as Record<string, unknown>);
      return `[${fields.map(([name, value]) => `${name}=${printValue(value)}`).join(',')}]`;
    })
    .join('');
}

function canonicalElement(element: string): string {
  const text = element.slice(2);
  switch (element.slice(0, 2)) {
    case 'f:':
      return element;
    case 'v:':
      return valueElement(parseExact(text));
    case 'i:':
      if (!/^-?[0-9]+$/.test(text)) throw new Error(`not an index: ${text}`);
      return element;
    case 'k:': {
      const key = parseExact(text);
      if (typeof key !== 'object' || key === null || Array.isArray(key)) throw new Error(`not a key: ${text}`);
      return keyElement(Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1)));
    }
    default:
      throw new Error(`unknown path element: ${element}`);
  }
}

/** A set from what a client sent as fieldsV1. Throws Error for what is none. */
export function parseFieldSet(value: unknown): FieldSet {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('fieldsV1 must be an object');
  const out: Draft = {};
  for (const [element, child] of Object.entries(value)) {
    if (element === self) out[self] = leaf;
    else out[canonicalElement(element)] = parseFieldSet(child);
  }
  return out;
}
