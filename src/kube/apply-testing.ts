/**
 * Runs the cases of structured-merge-diff's tests (merge/*_test.go), kept as tables of facts: objects as YAML, what each
 * manager owns as paths in the form in which conflicts show them.
 */
import { expect } from 'vitest';
import { applyPatch, type OtherVersion, updateManagedFields } from './apply.ts';
import { type FieldSet, formatFieldPath, pathsOf } from './apply-set.ts';
import type { ManagedFieldsEntry } from './generated/meta-v1.ts';
import { isObject, type JsonObject } from './json-value.ts';
import { parseYaml } from './parse-body.ts';
import type { Resolve, Schema } from './schema.ts';
import { StatusError } from './status-error.ts';

export interface Step {
  /** `apply` fails on conflicts; `force` does not; `update` is any other write. `schema`: the kind's schema is another one from here on. */
  readonly op: 'apply' | 'force' | 'update';
  readonly by: string;
  readonly in: string;
  readonly object: string;
  /** "manager .path" of each conflict that this apply meets. */
  readonly conflicts?: readonly string[];
  readonly ignored?: readonly (readonly string[])[];
  readonly schema?: Schema;
}

export interface ApplyCase {
  readonly steps: readonly Step[];
  readonly object?: string;
  /** The version in which `object` is. Default: v1. */
  readonly objectIn?: string;
  /** By "manager@version". */
  readonly managed?: Readonly<Record<string, readonly string[]>>;
}

const step =
  (op: Step['op']) =>
  (by: string, version: string, object: string, more: Pick<Step, 'conflicts' | 'ignored' | 'schema'> = {}): Step => ({
    op,
    by,
    in: version,
    object,
    ...more,
  });
export const apply = step('apply');
export const force = step('force');
export const update = step('update');

/** How the kind looks in each version; the same in all of them unless there is a conversion. */
export interface Versions {
  readonly schema: (version: string) => Schema;
  readonly resolve?: Resolve;
  readonly convert?: (object: JsonObject, from: string, to: string) => JsonObject;
  /** Whether a version is known. Without: all are. */
  readonly served?: (version: string) => boolean;
}

const parse = (text: string): JsonObject => {
  const value = parseYaml(text);
  return isObject(value) ? value : {};
};

const typeFields: Schema = { type: 'object', additionalProperties: true };

/** The schema of the case below apiVersion, kind and metadata, which every object of a server has. */
function rooted(schema: Schema): Schema {
  if (schema.properties === undefined) return schema;
  return {
    ...schema,
    properties: { ...schema.properties, apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: typeFields },
  };
}

interface State {
  /** Undefined before the first write. */
  live: JsonObject | undefined;
  version: string;
  entries: readonly ManagedFieldsEntry[];
}

function runStep(state: State, s: Step, versions: Versions): void {
  const { convert, served } = versions;
  const rename = (object: JsonObject, from: string, to: string): JsonObject => (convert === undefined ? object : convert(object, from, to));
  const full = (object: JsonObject | undefined): JsonObject | undefined =>
    object === undefined
      ? undefined
      : { ...rename(object, state.version, s.in), apiVersion: s.in, kind: 'Case', metadata: { uid: '1', managedFields: state.entries } };
  const otherVersion = (version: string): OtherVersion | undefined => {
    if (served !== undefined && !served(version)) return undefined;
    const between = (from: string, to: string) => (object: unknown) => rename(object as JsonObject, from, to);
    return { schema: rooted(versions.schema(version)), convert: between(s.in, version), convertBack: between(version, s.in) };
  };
  const common = {
    manager: s.by,
    schema: rooted(s.schema ?? versions.schema(s.in)),
    resolve: versions.resolve ?? (() => ({})),
    apiVersion: s.in,
    now: new Date(0),
    live: full(state.live),
    ignored: s.ignored ?? [],
    ...(convert === undefined && served === undefined ? {} : { otherVersion }),
  };
  const sent = { ...parse(s.object), apiVersion: s.in, kind: 'Case' };
  let next: JsonObject;
  if (s.op === 'update') {
    next = sent;
    state.entries = updateManagedFields({ ...common, next });
  } else {
    next = applyPatch({ ...common, patch: sent, force: s.op === 'force' }).object;
    state.entries = (next['metadata'] as { managedFields?: ManagedFieldsEntry[] } | undefined)?.managedFields ?? [];
  }
  const { apiVersion: _v, kind: _k, metadata: _m, ...rest } = next;
  state.live = rest;
  state.version = s.in;
}

function conflictsOf(error: unknown): string[] {
  if (!(error instanceof StatusError) || error.reason !== 'Conflict') throw error;
  return (error.details?.causes ?? []).map((c) => `${/"(.*?)"/.exec(c.message ?? '')?.[1]} ${c.field}`);
}

/** Runs a case and expects what it states. */
export function expectCase(c: ApplyCase, versions: Versions): void {
  const state: State = { live: undefined, version: 'v1', entries: [] };
  for (const s of c.steps) {
    let conflicts: string[] = [];
    try {
      runStep(state, s, versions);
    } catch (error) {
      conflicts = conflictsOf(error);
    }
    expect(conflicts.toSorted()).toEqual((s.conflicts ?? []).toSorted());
  }
  const shown = versions.convert === undefined ? state.live : versions.convert(state.live ?? {}, state.version, c.objectIn ?? 'v1');
  if (c.object !== undefined) expect(shown ?? {}).toEqual(parse(c.object));
  if (c.managed === undefined) return;
  const managed = state.entries.map((e): [string, string[]] => [
    `${e.manager}@${e.apiVersion}`,
    pathsOf(e.fieldsV1 as FieldSet).map(formatFieldPath),
  ]);
  const sorted = (entries: readonly (readonly [string, readonly string[]])[]): Record<string, readonly string[]> =>
    Object.fromEntries(entries.map(([name, paths]) => [name, paths.toSorted()]));
  expect(sorted(managed)).toEqual(sorted(Object.entries(c.managed)));
}
