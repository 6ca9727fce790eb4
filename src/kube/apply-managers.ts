/**
 * managedFields: who owns which fields, as entries on the object and as sets to calculate with
 * (k8s.io/apimachinery pkg/util/managedfields).
 */
import { type FieldSet, isEmptySet, parseFieldSet, sortedSet, union } from './apply-set.ts';
import type { ManagedFieldsEntry } from './generated/meta-v1.ts';
import { isObject, jsonEqual } from './json-value.ts';

export interface Manager {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string | undefined;
  readonly set: FieldSet;
  /** The entry that this was read from, while it still says the same. */
  readonly entry?: ManagedFieldsEntry;
}

/** By identity: see managerKey. */
export type Managers = Map<string, Manager>;

export const ancientChanges = 'ancient-changes';
const maxUpdateManagers = 10;
/** Upstream's FieldManagerMaxLength. */
const maxManagerLength = 128;

/** What makes a manager the one it is. An applier is the same whichever version it applies in. */
export function managerKey(m: Pick<Manager, 'manager' | 'operation' | 'apiVersion' | 'subresource'>): string {
  return JSON.stringify([m.manager, m.operation, m.operation === 'Apply' ? '' : m.apiVersion, m.subresource]);
}

/** The manager's name for a request: fieldManager, else the beginning of the User-Agent, else "unknown". */
export function managerName(fieldManager: string | undefined, userAgent: string | undefined): string {
  if (fieldManager !== undefined && fieldManager !== '') return fieldManager;
  let out = '';
  for (const c of (userAgent ?? '').split('/')[0] ?? '') {
    if (!/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(c)) continue;
    if (Buffer.byteLength(out + c, 'utf8') > maxManagerLength) break;
    out += c;
  }
  return out === '' ? 'unknown' : out;
}

/** `managedFields: [{}]` asks for all ownership to be forgotten. */
const isReset = (entries: readonly unknown[]): boolean =>
  entries.length === 1 && isObject(entries[0]) && Object.keys(entries[0]).length === 0;

function decodeEntry(entry: ManagedFieldsEntry): Manager {
  if (entry.operation !== 'Apply' && entry.operation !== 'Update') throw new Error('operation needs to be `Apply` or `Update`');
  if (entry.apiVersion === undefined || entry.apiVersion === '') throw new Error('apiVersion must not be empty');
  if (entry.fieldsType !== 'FieldsV1') throw new Error(`invalid fieldsType "${entry.fieldsType ?? ''}" in managed fields entry`);
  return {
    manager: entry.manager ?? '',
    operation: entry.operation,
    apiVersion: entry.apiVersion,
    subresource: entry.subresource ?? '',
    time: entry.time,
    set: parseFieldSet(entry.fieldsV1 ?? {}),
    entry,
  };
}

function decode(entries: readonly ManagedFieldsEntry[], trusted: boolean): Managers {
  const out: Managers = new Map();
  for (const entry of entries) {
    // What the server wrote itself is in canonical form already.
    const m: Manager = trusted && entry.fieldsV1 !== undefined ? trustedEntry(entry) : decodeEntry(entry);
    const key = managerKey(m);
    const same = out.get(key);
    out.set(key, same === undefined ? m : withSet(same, union(same.set, m.set)));
  }
  return out;
}

const trustedEntry = (entry: ManagedFieldsEntry): Manager => ({
  manager: entry.manager ?? '',
  operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
  apiVersion: entry.apiVersion ?? '',
  subresource: entry.subresource ?? '',
  time: entry.time,
  set: entry.fieldsV1 as FieldSet,
  entry,
});

/** The managers of a stored object. */
export const managersOf = (entries: readonly ManagedFieldsEntry[] | undefined): Managers => decode(entries ?? [], true);

/**
 * The managers that a write starts from: those that the client sent if they can be read, else the live object's, so that
 * clients who do not know managedFields do not delete them. `[{}]` clears them.
 */
export function managersForWrite(
  live: readonly ManagedFieldsEntry[] | undefined,
  sent: readonly ManagedFieldsEntry[] | undefined,
): Managers {
  if (sent === undefined || sent.length === 0 || sent === live) return managersOf(live);
  if (isReset(sent)) return new Map();
  if (live !== undefined && jsonEqual(live, sent)) return managersOf(live);
  try {
    const managers = decode(sent, false);
    return managers.size === 0 ? managersOf(live) : managers;
  } catch {
    return managersOf(live);
  }
}

/** The manager with another set; the same one back if it is the same set. */
export function withSet(m: Manager, set: FieldSet): Manager {
  if (set === m.set) return m;
  const { entry: _, ...rest } = m;
  return { ...rest, set };
}

const secondsOf = (time: string | undefined): number => (time === undefined ? 0 : Math.floor(Date.parse(time) / 1000));

/** Managers as entries: appliers first, then by time and name. Entries that did not change are the ones that were read. */
export function encodeManagers(managers: Managers): ManagedFieldsEntry[] {
  return [...managers.values()].sort(compareManagers).map((m) => m.entry ?? encodeManager(m));
}

function compareManagers(a: Manager, b: Manager): number {
  if (a.operation !== b.operation) return a.operation < b.operation ? -1 : 1;
  const byTime = secondsOf(a.time) - secondsOf(b.time);
  if (byTime !== 0) return byTime;
  const left = [a.manager, a.apiVersion, a.subresource];
  const right = [b.manager, b.apiVersion, b.subresource];
  for (const [i, l] of left.entries()) {
    const r = right[i] ?? '';
    if (l !== r) return l < r ? -1 : 1;
  }
  return 0;
}

function encodeManager(m: Manager): ManagedFieldsEntry {
  return {
    manager: m.manager,
    operation: m.operation,
    apiVersion: m.apiVersion,
    ...(m.time === undefined ? {} : { time: m.time }),
    fieldsType: 'FieldsV1',
    fieldsV1: sortedSet(m.set),
    ...(m.subresource === '' ? {} : { subresource: m.subresource }),
  };
}

/** Merges the oldest updaters of each version into one entry when there are more than ten. */
export function capUpdateManagers(managers: Managers): void {
  const updaters = [...managers].filter(([, m]) => m.operation === 'Update').sort(([, a], [, b]) => secondsOf(a.time) - secondsOf(b.time));
  let count = updaters.length;
  const firstOfVersion = new Map<string, string>();
  for (const [key, m] of updaters) {
    if (count <= maxUpdateManagers) return;
    const bucket: Manager = {
      manager: ancientChanges,
      operation: 'Update',
      apiVersion: m.apiVersion,
      subresource: '',
      time: m.time,
      set: {},
    };
    const bucketKey = managerKey(bucket);
    const first = firstOfVersion.get(m.apiVersion);
    if (first === undefined) {
      firstOfVersion.set(m.apiVersion, key);
      continue;
    }
    const existing = managers.get(bucketKey) ?? managers.get(first);
    if (!managers.has(bucketKey)) managers.delete(first);
    managers.delete(key);
    managers.set(bucketKey, { ...bucket, set: union(m.set, existing?.set ?? {}) });
    count--;
  }
}

/** Forgets managers that own nothing. */
export function dropEmptyManagers(managers: Managers): void {
  for (const [key, m] of managers) if (isEmptySet(m.set)) managers.delete(key);
}
