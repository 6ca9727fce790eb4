/**
 * Server-side apply and the ownership of fields. The order of steps is upstream's (structured-merge-diff/merge/update.go and
 * apimachinery's managedfields), so managedFields come out as kube-apiserver writes them.
 */
import { parseExact } from '#lib/exact-json.ts';
import { type Comparison, changedFields, compareObjects, excludeFields, isSame } from './apply-compare.ts';
import { type Conflict, conflictError, conflictsOf } from './apply-conflict.ts';
import { configurationErrors, fieldSetOf } from './apply-fields.ts';
import {
  capUpdateManagers,
  dropEmptyManagers,
  encodeManagers,
  type Manager,
  type Managers,
  managerKey,
  managersForWrite,
  managersOf,
  withSet,
} from './apply-managers.ts';
import { mergeObjects, removeFields, withDeclaredParents } from './apply-merge.ts';
import { reconcileWithSchema } from './apply-reconcile.ts';
import {
  difference,
  emptySet,
  type FieldSet,
  hasPath,
  insertPath,
  intersection,
  isEmptySet,
  recursiveDifference,
  union,
} from './apply-set.ts';
import type { ManagedFieldsEntry } from './generated/meta-v1.ts';
import { isObject, type JsonObject, jsonEqual, own } from './json-value.ts';
import type { Resolve, Schema } from './schema.ts';
import { badRequest } from './status-error.ts';

/** The same kind in another version: managers' sets are in the version they wrote in. */
export interface OtherVersion {
  readonly schema: Schema;
  /** From the request's version into this one. */
  readonly convert: (object: unknown) => unknown;
  /** From this version into the request's. */
  readonly convertBack: (object: unknown) => unknown;
}

interface Common {
  /** Who writes; see managerName. */
  readonly manager: string;
  readonly schema: Schema;
  readonly resolve: Resolve;
  /** The version in which the request was made, and in which objects and schema are. */
  readonly apiVersion: string;
  readonly subresource?: string;
  readonly now: Date;
  /** Fields that this endpoint does not write whatever the client sends (resetFields of the strategy): ['status'] on the main resource. */
  readonly ignored?: readonly (readonly string[])[];
  /**
   * The kind in another version. Absent: all versions have the same fields. Undefined for a version that is not served any
   * more: who owned fields in it is forgotten.
   */
  readonly otherVersion?: (apiVersion: string) => OtherVersion | undefined;
}

export interface UpdateFieldsOptions extends Common {
  /** The object before the write; undefined on create. */
  readonly live: unknown;
  /** The object to be written, after defaulting, before admission. */
  readonly next: unknown;
}

export interface ApplyOptions extends Common {
  /** The stored object; undefined where apply creates it. */
  readonly live: unknown;
  /** The applied configuration, decoded from JSON or YAML and otherwise as the client sent it. */
  readonly patch: unknown;
  readonly force: boolean;
}

const pathSet = (paths: readonly (readonly string[])[]): FieldSet => {
  const set: FieldSet = {};
  for (const path of paths) {
    insertPath(
      set,
      path.map((name) => `f:${name}`),
    );
  }
  return set;
};

/** Never owned by anybody. */
const stripped: FieldSet = pathSet([
  ['apiVersion'],
  ['kind'],
  ['metadata'],
  ...['name', 'namespace', 'creationTimestamp', 'selfLink', 'uid', 'clusterName', 'generation', 'managedFields', 'resourceVersion'].map(
    (n) => ['metadata', n],
  ),
]);

const metadataOf = (object: unknown): JsonObject => {
  const metadata = isObject(object) ? own(object, 'metadata') : undefined;
  return isObject(metadata) ? metadata : {};
};

const entriesOf = (object: unknown): readonly ManagedFieldsEntry[] | undefined => {
  const entries = metadataOf(object)['managedFields'];
  return Array.isArray(entries) ? (entries as ManagedFieldsEntry[]) : undefined;
};

/** Without managedFields, whose changes nobody owns. */
function withoutManagedFields(object: unknown): unknown {
  if (!isObject(object)) return object;
  const metadata = own(object, 'metadata');
  if (!isObject(metadata) || !Object.hasOwn(metadata, 'managedFields')) return object;
  const { managedFields: _, ...rest } = metadata;
  return { ...object, metadata: rest };
}

function withManagedFields(object: JsonObject, entries: readonly ManagedFieldsEntry[]): JsonObject {
  const { managedFields: _, ...metadata } = metadataOf(object);
  return { ...object, metadata: entries.length === 0 ? metadata : { ...metadata, managedFields: entries } };
}

/** Seconds, as upstream writes times. */
const timeOf = (now: Date): string => now.toISOString().replace(/\.\d+Z$/, 'Z');

interface Step {
  readonly options: Common;
  readonly ignored: FieldSet;
  readonly managers: Managers;
}

/** What changed, in the version that a manager's set is in; undefined where that version is gone. */
function comparer(step: Step, before: unknown, after: unknown): (apiVersion: string) => Comparison | undefined {
  const { schema, resolve, apiVersion, otherVersion } = step.options;
  const known = new Map<string, Comparison | undefined>();
  known.set(apiVersion, excludeFields(compareObjects(before, after, schema, resolve), step.ignored));
  return (wanted) => {
    if (otherVersion === undefined) return known.get(apiVersion);
    if (!known.has(wanted)) {
      const other = otherVersion(wanted);
      known.set(
        wanted,
        other && excludeFields(compareObjects(other.convert(before), other.convert(after), other.schema, resolve), step.ignored),
      );
    }
    return known.get(wanted);
  };
}

/**
 * Takes from the managers other than `self` what the change touches. Without `force`, fields that somebody else owns are conflicts,
 * and nothing is taken.
 */
function takeFromOthers(step: Step, compare: (apiVersion: string) => Comparison | undefined, self: string, force: boolean): Conflict[] {
  const conflicts: Conflict[] = [];
  const taken: (readonly [string, Manager])[] = [];
  for (const [key, m] of step.managers) {
    if (key === self) continue;
    const comparison = compare(m.apiVersion);
    if (comparison === undefined) {
      step.managers.delete(key);
      continue;
    }
    const lost = intersection(m.set, changedFields(comparison));
    if (!isEmptySet(lost) && !force) conflicts.push(...conflictsOf(m, lost));
    taken.push([key, withSet(m, difference(difference(m.set, lost), comparison.removed))]);
  }
  if (conflicts.length > 0) return conflicts;
  for (const [key, m] of taken) step.managers.set(key, m);
  return conflicts;
}

/** The object as one version shows it. */
interface VersionView {
  readonly schema: Schema;
  /** From the request's version, and back. */
  readonly into: (object: unknown) => unknown;
  readonly back: (object: unknown) => unknown;
}

const same = (object: unknown): unknown => object;

/** Undefined for a version that is not served any more. */
function viewIn(step: Step, version: string): VersionView | undefined {
  const { schema, apiVersion, otherVersion } = step.options;
  if (otherVersion === undefined || version === apiVersion) return { schema, into: same, back: same };
  const other = otherVersion(version);
  return other && { schema: other.schema, into: other.convert, back: other.convertBack };
}

/** What all managers own together in each version, the given version first: it may hold what conversions need. */
function ownedByVersion(step: Step, first: string): Map<string, FieldSet> {
  const owned = new Map<string, FieldSet>([[first, emptySet]]);
  for (const m of step.managers.values()) {
    const version = step.options.otherVersion === undefined ? first : m.apiVersion;
    owned.set(version, union(owned.get(version) ?? emptySet, m.set));
  }
  return owned;
}

/** Sets as they are under today's schemas; what has its version no more stays as it is. */
function reconcile(step: Step, live: unknown): void {
  const { resolve, apiVersion } = step.options;
  const owned = ownedByVersion(step, apiVersion);
  for (const [key, m] of step.managers) {
    const v = viewIn(step, m.apiVersion);
    if (v === undefined) continue;
    const ofVersion = owned.get(step.options.otherVersion === undefined ? apiVersion : m.apiVersion) ?? emptySet;
    step.managers.set(key, withSet(m, reconcileWithSchema(m.set, v.into(live), v.schema, resolve, ofVersion)));
  }
}

const stepOf = (options: Common, managers: Managers): Step => ({ options, ignored: pathSet(options.ignored ?? []), managers });

/** Ownership after a write that is not an apply, by a manager that owned what its own entry says. */
function update(step: Step, live: unknown, next: unknown, name: string): void {
  const { apiVersion, subresource = '', now } = step.options;
  const compare = comparer(step, live, next);
  const comparison = compare(apiVersion);
  if (comparison === undefined || isSame(comparison)) return;
  // Built-in schemas change with the version of the server only: the next apply is early enough for them.
  if (step.options.schema.custom === true) reconcile(step, live);
  takeFromOthers(step, compare, '', true);
  const gained = difference(changedFields(comparison), stripped);
  if (!isEmptySet(gained)) {
    const time = timeOf(now);
    const fresh: Manager = { manager: name, operation: 'Update', apiVersion, subresource, time, set: gained };
    const key = managerKey(fresh);
    const before = step.managers.get(key);
    step.managers.set(key, before === undefined ? fresh : gainedBy(before, gained, time));
  }
  dropEmptyManagers(step.managers);
  capUpdateManagers(step.managers);
}

/** The writer's entry with what it gained; its time moves, as it does upstream, whenever it changed a value. */
function gainedBy(before: Manager, gained: FieldSet, time: string): Manager {
  const after = withSet(before, union(before.set, gained));
  return { ...after, time, ...(after.entry === undefined ? {} : { entry: { ...after.entry, time } }) };
}

/**
 * The managedFields that an object is to be written with after create, update or patch (all that is not an apply). Linear in the size
 * of the objects; when nothing changes, the live object's entries themselves come back. An object that has no managers
 * keeps having none until something is applied to it.
 */
export function updateManagedFields(options: UpdateFieldsOptions): readonly ManagedFieldsEntry[] {
  const { live, next } = options;
  const liveEntries = entriesOf(live);
  const managers = managersForWrite(liveEntries, options.subresource ? undefined : entriesOf(next));
  if (live !== undefined && managers.size === 0) return [];
  update(stepOf(options, managers), withoutManagedFields(live ?? {}), withoutManagedFields(next), options.manager);
  const entries = encodeManagers(managers);
  const same = liveEntries !== undefined && entries.length === liveEntries.length && entries.every((e, i) => e === liveEntries[i]);
  return same ? liveEntries : entries;
}

const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';
const beforeFirstApply = 'before-first-apply';
/** TotalAnnotationSizeLimitB of apimachinery's validation. */
const maxAnnotationsBytes = 256 * 1024;

function describeObject(patch: JsonObject, apiVersion: string): string {
  const { name, namespace } = metadataOf(patch);
  const text = (v: unknown): string => (typeof v === 'string' ? v : '');
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  return `${text(namespace)}/${text(name)}; ${group}/${version}, Kind=${text(patch['kind'])}`;
}

function checkPatch(patch: unknown, options: ApplyOptions): asserts patch is JsonObject {
  if (!isObject(patch)) throw badRequest('error decoding YAML: the applied configuration must be an object');
  const version = own(patch, 'apiVersion');
  if (version !== options.apiVersion) {
    throw badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${typeof version === 'string' ? version : ''}, expected: ${options.apiVersion}`,
    );
  }
  const entries = metadataOf(patch)['managedFields'];
  if (entries !== undefined && entries !== null) throw badRequest('metadata.managedFields must be nil');
  const errors = configurationErrors(patch, options.schema, options.resolve);
  if (errors.length === 0) return;
  const text = errors.length === 1 ? errors[0] : `errors:\n${errors.map((e) => `  ${e}`).join('\n')}`;
  throw badRequest(`failed to create typed patch object (${describeObject(patch, options.apiVersion)}): ${text}`);
}

export interface Applied {
  /** The object to be defaulted, admitted and written, with its managedFields. The very live object where nothing changes. */
  readonly object: JsonObject;
}

/**
 * Applies a configuration for a manager. Throws StatusError: BadRequest for a configuration that does not fit the schema, Conflict
 * with one cause for each field that another manager owns with another value.
 */
export function applyPatch(options: ApplyOptions): Applied {
  const { patch } = options;
  checkPatch(patch, options);
  const live = options.live ?? { apiVersion: patch['apiVersion'], kind: patch['kind'], metadata: {} };
  const managers = managersOf(entriesOf(live));
  const bare = withoutManagedFields(live);
  if (managers.size === 0 && options.live !== undefined) update(stepOf(options, managers), {}, bare, beforeFirstApply);
  let result = applyOnce(options, bare, patch, new Map(managers), options.force);
  if ('conflicts' in result) {
    const conflicts = options.manager === 'kubectl' ? withoutAllowed(options, bare, result.conflicts) : result.conflicts;
    if (conflicts.length > 0) throw conflictError(conflicts);
    result = applyOnce(options, bare, patch, new Map(managers), true);
    if ('conflicts' in result) throw conflictError(result.conflicts);
  }
  const object = options.manager === 'kubectl' ? withLastApplied(result.object, patch) : result.object;
  const entries = encodeManagers(result.managers);
  const noop = options.live !== undefined && sameButTime(entries, entriesOf(live) ?? []) && jsonEqual(object, bare);
  return { object: noop && isObject(live) ? live : withManagedFields(object, entries) };
}

/** An apply that changes nothing but times changes nothing. */
function sameButTime(a: readonly ManagedFieldsEntry[], b: readonly ManagedFieldsEntry[]): boolean {
  const timeless = (e: ManagedFieldsEntry): object => ({ ...e, time: '' });
  const byManager = new Map(b.map((e) => [entryKey(e), timeless(e)]));
  return a.length === b.length && a.every((e) => jsonEqual(timeless(e), byManager.get(entryKey(e))));
}

const entryKey = (e: ManagedFieldsEntry): string => JSON.stringify([e.manager, e.operation, e.apiVersion, e.subresource]);

/** The configuration as it is merged: without what this endpoint ignores, and without nulls where the server knows better. */
function mergeable(step: Step, patch: JsonObject): unknown {
  const metadata = Object.fromEntries(Object.entries(metadataOf(patch)).filter(([, v]) => v !== null));
  const configuration = isObject(patch['metadata']) ? { ...patch, metadata } : patch;
  return isEmptySet(step.ignored) ? configuration : removeFields(configuration, step.ignored, step.options.schema, step.options.resolve);
}

type Attempt = { readonly object: JsonObject; readonly managers: Managers } | { readonly conflicts: readonly Conflict[] };

function applyOnce(options: ApplyOptions, live: unknown, patch: JsonObject, managers: Managers, force: boolean): Attempt {
  const { schema, resolve, apiVersion, subresource = '', manager, now } = options;
  const step = stepOf(options, managers);
  reconcile(step, live);
  const applied = recursiveDifference(fieldSetOf(patch, schema, resolve), step.ignored);
  const self: Manager = { manager, operation: 'Apply', apiVersion, subresource, time: timeOf(now), set: applied };
  const key = managerKey(self);
  const last = managers.get(key);
  managers.set(key, self);
  const merged = mergeObjects(live, mergeable(step, patch), schema, resolve);
  const pruned = last === undefined || holdsOn(step, last, applied) ? merged : prune(step, merged, last);
  const conflicts = takeFromOthers(step, comparer(step, live, pruned), key, force);
  if (conflicts.length > 0) return { conflicts };
  managers.set(key, { ...self, set: difference(applied, stripped) });
  dropEmptyManagers(managers);
  return { object: isObject(pruned) ? pruned : {}, managers };
}

/** Whether the manager applies all that it applied last time: then nothing is to be taken out. */
const holdsOn = (step: Step, last: Manager, applied: FieldSet): boolean =>
  (step.options.otherVersion === undefined || last.apiVersion === step.options.apiVersion) && isEmptySet(difference(last.set, applied));

/**
 * Takes out what this manager applied last time, does not apply now, and nobody else owns: all that it applied goes, with what is
 * below; what somebody owns comes back; and of what is still gone only what it had applied itself goes in the end
 * (Updater.prune, addBackOwnedItems and addBackDanglingItems).
 */
function prune(step: Step, merged: unknown, last: Manager): unknown {
  const { resolve } = step.options;
  const at = viewIn(step, last.apiVersion);
  if (at === undefined) return merged;
  const fieldsOf = (object: unknown, v: VersionView): FieldSet =>
    withDeclaredParents(fieldSetOf(object, v.schema, resolve), v.schema, resolve);
  const object = at.into(merged);
  const lastSet = withDeclaredParents(last.set, at.schema, resolve);
  let pruned = at.back(removeFields(object, lastSet, at.schema, resolve));
  for (const [version, owned] of ownedByVersion(step, last.apiVersion)) {
    const v = viewIn(step, version);
    if (v === undefined) continue;
    const full = v.into(merged);
    const kept = union(fieldsOf(v.into(pruned), v), withDeclaredParents(owned, v.schema, resolve));
    pruned = v.back(removeFields(full, difference(fieldsOf(full, v), kept), v.schema, resolve));
  }
  const gone = difference(fieldsOf(object, at), fieldsOf(at.into(pruned), at));
  return at.back(removeFields(object, intersection(gone, lastSet), at.schema, resolve));
}

/** Conflicts that come from `kubectl apply` without --server-side having set the very values it now applies are none. */
function withoutAllowed(options: ApplyOptions, live: unknown, conflicts: readonly Conflict[]): readonly Conflict[] {
  const annotations = metadataOf(live)['annotations'];
  const text = isObject(annotations) ? own(annotations, lastAppliedAnnotation) : undefined;
  if (typeof text !== 'string' || text === '') return conflicts;
  let lastApplied: unknown;
  try {
    lastApplied = parseExact(text);
  } catch {
    return conflicts;
  }
  if (!isObject(lastApplied) || own(lastApplied, 'apiVersion') !== options.apiVersion) return conflicts;
  const { schema, resolve } = options;
  const c = compareObjects(lastApplied, live, schema, resolve);
  const allowed = difference(difference(fieldSetOf(lastApplied, schema, resolve), changedFields(c)), c.removed);
  return conflicts.filter((conflict) => !hasPath(allowed, conflict.path));
}

/** Keeps the annotation of client-side apply current, where there is one, so that going back to it loses nothing. */
function withLastApplied(object: JsonObject, patch: JsonObject): JsonObject {
  const metadata = metadataOf(object);
  const annotations = metadata['annotations'];
  if (!isObject(annotations) || !Object.hasOwn(annotations, lastAppliedAnnotation)) return object;
  const { [lastAppliedAnnotation]: _, ...others } = annotations;
  const patchMetadata = metadataOf(patch);
  const patchAnnotations = patchMetadata['annotations'];
  const { [lastAppliedAnnotation]: __, ...keptAnnotations } = isObject(patchAnnotations) ? patchAnnotations : {};
  const configuration = {
    ...patch,
    metadata: { ...patchMetadata, ...(isObject(patchAnnotations) ? { annotations: keptAnnotations } : {}) },
  };
  const value = `${JSON.stringify(configuration)}\n`;
  const next: JsonObject = { ...others, [lastAppliedAnnotation]: value };
  const size = Object.entries(next).reduce(
    (sum, [k, v]) => sum + Buffer.byteLength(k) + Buffer.byteLength(typeof v === 'string' ? v : ''),
    0,
  );
  return { ...object, metadata: { ...metadata, annotations: size > maxAnnotationsBytes ? others : next } };
}
