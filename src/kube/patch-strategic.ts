/**
 * Strategic merge patch: a merge patch that knows which lists are merged by key. Behaviour, orders and messages follow
 * k8s.io/apimachinery pkg/util/strategicpatch (StrategicMergeMapPatch). Kinds without such a schema (custom resources) do
 * not take this patch type: the API server answers 415.
 */
import { goPrint, isArray, isObject, type JsonObject, own, put } from './json-value.ts';
import type { Resolve, Schema } from './schema.ts';
import { badRequest, StatusError } from './status-error.ts';

const directive = '$patch';
const retainKeys = '$retainKeys';
const deletePrefix = '$deleteFromPrimitiveList';
const orderPrefix = '$setElementOrder';

type List = readonly unknown[];

const fail = (message: string): StatusError => badRequest(message);
const unknownType = (type: unknown, map: unknown): StatusError => fail(`unknown patch type: ${goPrint(type)} in map: ${goPrint(map)}`);
const noMergeKey = (map: unknown, key: string): StatusError => fail(`map: ${goPrint(map)} does not contain declared merge key: ${key}`);

function dereferenced(schema: Schema | undefined, resolve: Resolve): Schema | undefined {
  return schema?.ref === undefined ? schema : resolve(schema.ref);
}

/** The schema of one field, with the patch strategy of its use. Members of free maps share one schema. */
function fieldSchema(parent: Schema | undefined, key: string): Schema | undefined {
  const property = parent?.properties !== undefined && Object.hasOwn(parent.properties, key) ? parent.properties[key] : undefined;
  if (property !== undefined) return property;
  return typeof parent?.additionalProperties === 'object' ? parent.additionalProperties : undefined;
}

/** The strategy of a field besides retainKeys; '' where none is given. */
const strategyOf = (schema: Schema | undefined): string => schema?.patchStrategy?.find((s) => s !== 'retainKeys') ?? '';

/** The value as it is stored where nothing was before: no nulls, no directives. `undefined`: not to be kept. */
function fresh(value: unknown): unknown {
  if (isArray(value)) return value.map(fresh).filter((v) => v !== undefined);
  if (!isObject(value)) return value;
  if (own(value, directive) === 'delete') return undefined;
  const out: JsonObject = {};
  for (const [key, v] of Object.entries(value)) {
    if (v === null || key === directive || key === retainKeys) continue;
    if (key.startsWith(`${deletePrefix}/`) || key.startsWith(`${orderPrefix}/`)) continue;
    const kept = fresh(v);
    if (kept !== undefined) put(out, key, kept);
  }
  // A list element that only says "replace" is no element.
  return Object.hasOwn(value, directive) && Object.keys(out).length === 0 ? undefined : out;
}

function listKey(key: string, prefix: string, what: string): string {
  const slash = key.indexOf('/');
  if (slash < 0 || key.slice(0, slash) !== prefix) throw fail(`invalid patch format of ${what}`);
  return key.slice(slash + 1);
}

function checkRetainKeys(patch: JsonObject): ReadonlySet<unknown> | undefined {
  if (!Object.hasOwn(patch, retainKeys)) return undefined;
  const list = patch[retainKeys];
  if (!isArray(list)) throw fail('invalid patch format of retainKeys');
  const kept = new Set(list);
  for (const [key, value] of Object.entries(patch)) {
    if (key === retainKeys || value === null || key.startsWith(deletePrefix) || key.startsWith(orderPrefix)) continue;
    if (!kept.has(key)) throw fail('invalid patch format of retainKeys');
  }
  return kept;
}

interface Merger {
  readonly resolve: Resolve;
}

function mergeMap(m: Merger, original: JsonObject, patch: JsonObject, schema: Schema | undefined): JsonObject {
  if (Object.hasOwn(patch, directive)) {
    const { [directive]: kind, ...rest } = patch;
    if (kind === 'replace') return rest;
    if (kind === 'delete') return {};
    throw unknownType(kind, patch);
  }
  const kept = checkRetainKeys(patch);
  const out: JsonObject = {};
  for (const [key, value] of Object.entries(original)) if (kept === undefined || kept.has(key)) put(out, key, value);
  const done = new Set<string>([retainKeys]);
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(orderPrefix)) continue;
    done.add(key);
    mergeOrdered(m, out, patch, key, schema, done);
  }
  for (const [key, value] of Object.entries(patch)) if (!done.has(key)) mergeField(m, out, key, value, schema);
  return out;
}

function mergeField(m: Merger, out: JsonObject, patchKey: string, value: unknown, schema: Schema | undefined): void {
  const deleting = patchKey.startsWith(deletePrefix);
  const key = deleting ? listKey(patchKey, deletePrefix, 'primitive list') : patchKey;
  if (value === null) {
    delete out[key];
    return;
  }
  const current = own(out, key);
  const field = fieldSchema(schema, key);
  if (isObject(current) && isObject(value)) {
    put(out, key, strategyOf(field) === 'replace' ? value : mergeMap(m, current, value, dereferenced(field, m.resolve)));
  } else if (isArray(current) && isArray(value)) {
    put(out, key, mergeListField(m, current, value, field, deleting));
  } else if (!deleting) {
    const kept = fresh(value);
    if (kept !== undefined) put(out, key, kept);
    else if (isObject(value)) put(out, key, {});
  }
}

function mergeListField(m: Merger, original: List, patch: List, field: Schema | undefined, deleting: boolean): List {
  return strategyOf(field) === 'merge' ? mergeList(m, original, patch, field, deleting) : patch;
}

/** `$setElementOrder/x`: merges x, then puts its elements in the given order; those the patch does not know keep their places. */
function mergeOrdered(
  m: Merger,
  out: JsonObject,
  patch: JsonObject,
  orderKey: string,
  schema: Schema | undefined,
  done: Set<string>,
): void {
  const order = patch[orderKey];
  if (!isArray(order)) throw fail('invalid patch format of setElementOrder list');
  const key = listKey(orderKey, orderPrefix, 'setElementOrder list');
  const field = fieldSchema(schema, key);
  const mergeKey = field?.patchMergeKey ?? '';
  const original = own(out, key);
  const changed = own(patch, key);
  if (original !== undefined && !isArray(original)) throw fail(`expected a list, but received ${goPrint(original)}`);
  if (changed !== undefined && !isArray(changed)) throw fail(`expected a list, but received ${goPrint(changed)}`);
  checkOrder(changed ?? [], order, mergeKey);
  if (original === undefined && changed === undefined) return;
  const merged =
    changed === undefined
      ? (original ?? [])
      : original === undefined
        ? (fresh(changed) as List)
        : mergeListField(m, original, changed, field, false);
  put(out, key, ordered(merged, order, original ?? [], mergeKey));
  done.add(key);
}

/** The elements that a patch adds or changes must stand in $setElementOrder in the same order. */
function checkOrder(patch: List, order: List, mergeKey: string): void {
  const wanted = mergeKey === '' ? patch : patch.filter((v) => !(isObject(v) && own(v, directive) === 'delete'));
  let at = 0;
  for (const o of order) if (at < wanted.length && identity(o, mergeKey) === identity(wanted[at], mergeKey)) at++;
  if (at < wanted.length) {
    throw fail(`The order in patch list:\n${goPrint(patch)}\n doesn't match $setElementOrder list:\n${goPrint(order)}\n`);
  }
}

/** What makes an element of a merged list the one it is. */
function identity(value: unknown, mergeKey: string): unknown {
  if (mergeKey === '' || !isObject(value)) return value;
  if (!Object.hasOwn(value, mergeKey)) throw noMergeKey(value, mergeKey);
  return value[mergeKey];
}

function positions(list: List, mergeKey: string): Map<unknown, number> {
  const out = new Map<unknown, number>();
  for (const [i, v] of list.entries()) {
    const id = isObject(v) && mergeKey !== '' ? own(v, mergeKey) : v;
    if (!out.has(id)) out.set(id, i);
  }
  return out;
}

/**
 * The order of a merged list: elements named in `order` in that order, the others in the server's; where the two meet, an element
 * of the server goes first only if both were there and it was before.
 */
function ordered(merged: List, order: List, server: List, mergeKey: string): List {
  const inOrder = positions(order, mergeKey);
  const inServer = positions(server, mergeKey);
  const at = (map: Map<unknown, number>, v: unknown): number => map.get(identity(v, mergeKey)) ?? -1;
  const right = merged.filter((v) => at(inOrder, v) >= 0).sort((a, b) => at(inOrder, a) - at(inOrder, b));
  const left = merged.filter((v) => at(inOrder, v) < 0).sort((a, b) => at(inServer, a) - at(inServer, b));
  const out: unknown[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length && j < right.length) {
    const l = at(inServer, left[i]);
    const r = at(inServer, right[j]);
    out.push(l >= 0 && r >= 0 && l < r ? left[i++] : right[j++]);
  }
  return [...out, ...left.slice(i), ...right.slice(j)];
}

function elementKind(original: List, patch: List): 'map' | 'scalar' {
  let kind: 'map' | 'scalar' | undefined;
  for (const v of [...original, ...patch]) {
    if (isArray(v)) throw new StatusError('Invalid', 'the server rejected our request due to an error in our request', { details: {} });
    const k = isObject(v) ? 'map' : 'scalar';
    if (kind !== undefined && kind !== k) throw fail('list element types are not identical');
    kind = k;
  }
  return kind ?? 'scalar';
}

function mergeList(m: Merger, original: List, patch: List, field: Schema | undefined, deleting: boolean): List {
  if (original.length === 0 && patch.length === 0) return original;
  const mergeKey = field?.patchMergeKey ?? '';
  if (elementKind(original, patch) === 'scalar') {
    if (deleting) {
      const gone = new Set(patch);
      return original.filter((v) => !gone.has(v));
    }
    return ordered([...new Set([...original, ...patch])], patch, original, '');
  }
  if (mergeKey === '') throw fail(`cannot merge lists without merge key for ${field?.items?.ref ?? 'list'}`);
  const { base, changes } = specialElements(original as readonly JsonObject[], patch as readonly JsonObject[], mergeKey);
  const merged: JsonObject[] = [...base];
  const at = positions(merged, mergeKey);
  const items = dereferenced(field?.items, m.resolve);
  for (const change of changes) {
    const id = identity(change, mergeKey);
    const index = at.get(id);
    if (index !== undefined) merged[index] = mergeMap(m, merged[index] ?? {}, change, items);
    else {
      at.set(id, merged.length);
      merged.push(fresh(change) as JsonObject);
    }
  }
  return ordered(merged, changes, base, mergeKey);
}

/** Takes out the elements that are directives: deletes what they delete; with `$patch: replace` the patch stands alone. */
function specialElements(
  original: readonly JsonObject[],
  patch: readonly JsonObject[],
  mergeKey: string,
): { base: readonly JsonObject[]; changes: readonly JsonObject[] } {
  const gone = new Set<unknown>();
  const plain: JsonObject[] = [];
  let replace = false;
  for (const v of patch) {
    if (!Object.hasOwn(v, directive)) {
      plain.push(v);
      continue;
    }
    const kind = v[directive];
    if (kind === 'delete') gone.add(identity(v, mergeKey));
    else if (kind === 'replace') replace = true;
    else if (kind === 'merge') throw fail('merging lists cannot yet be specified in the patch');
    else throw unknownType(kind, v);
  }
  if (replace) return { base: fresh(plain) as JsonObject[], changes: [] };
  return { base: gone.size === 0 ? original : original.filter((v) => !gone.has(own(v, mergeKey))), changes: plain };
}

/**
 * Applies a strategic merge patch to an object of the given schema. Neither argument is changed; the result may share parts
 * with both. Throws StatusError BadRequest (or Invalid, where upstream does) for a patch that makes no sense.
 */
export function applyStrategicPatch(document: unknown, patch: unknown, schema: Schema, resolve: Resolve): unknown {
  if (!isObject(patch)) throw fail('invalid JSON document');
  return mergeMap({ resolve }, isObject(document) ? document : {}, patch, dereferenced(schema, resolve));
}
