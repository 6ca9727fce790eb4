import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { applyPatch, updateManagedFields } from './apply.ts';
import { type FieldSet, formatFieldPath, pathsOf } from './apply-set.ts';
import type { ManagedFieldsEntry } from './generated/meta-v1.ts';
import { isObject, type JsonObject } from './json-value.ts';
import type { Schema } from './schema.ts';
import { StatusError } from './status-error.ts';

/*
 * The cases are those of structured-merge-diff's merge tests: what is applied or updated by whom, which conflicts arise, and
 * what the object and the ownership are in the end.
 */

const string: Schema = { type: 'string' };
const number: Schema = { type: 'number' };
const set: Schema = { type: 'array', items: string, listType: 'set' };
const item = (more: Readonly<Record<string, Schema>>): Schema => ({ type: 'object', properties: { name: string, ...more } });
const listMap = (items: Schema, keys = ['name']): Schema => ({ type: 'array', items, listType: 'map', listMapKeys: keys });
const mapOf = (values: Schema): Schema => ({ type: 'object', additionalProperties: values });
const recursive: { additionalProperties?: Schema; type: 'object' } = { type: 'object' };
recursive.additionalProperties = recursive;

const root = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  properties: { apiVersion: string, kind: string, metadata: { type: 'object', properties: {} }, ...properties },
});

const schemas = {
  list: root({ list: listMap(item({ value: number })) }),
  set: root({ list: set }),
  leaf: root({ numeric: number, string, bool: { type: 'boolean' } }),
  nested: root({
    listOfLists: listMap(item({ value: set })),
    listOfMaps: listMap(item({ value: mapOf(string) })),
    mapOfLists: mapOf(set),
    mapOfMaps: mapOf(mapOf(string)),
    mapOfMapsRecursive: recursive,
    struct: { type: 'object', properties: { name: string, value: number } },
  }),
  duplicates: root({
    list: listMap(item({ value1: number, value2: number })),
    unrelated: number,
    set: { type: 'array', items: number, listType: 'set' },
  }),
  ports: root({
    containerPorts: listMap({ type: 'object', properties: { port: number, protocol: { type: 'string', default: 'TCP' }, name: string } }, [
      'port',
      'protocol',
    ]),
  }),
  atomic: root({
    list: { type: 'array', items: string, listType: 'atomic' },
    struct: { type: 'object', properties: { numeric: number, string }, mapType: 'atomic' },
  }),
  granular: root({ struct: { type: 'object', properties: { numeric: number, string } } }),
  deduced: { type: 'object', preserveUnknownFields: true },
} as const satisfies Record<string, Schema>;

type SchemaName = keyof typeof schemas;
type Op =
  | readonly ['apply' | 'force' | 'update', manager: string, version: string, object: string]
  | readonly ['conflict', manager: string, version: string, object: string, conflicts: readonly string[]]
  | readonly ['schema', SchemaName];

interface Case {
  readonly ops: readonly Op[];
  readonly object: string;
  readonly managed?: Readonly<Record<string, readonly string[]>>;
}

const resolve = (ref: string): Schema => {
  throw new Error(ref);
};
const now = new Date('2026-01-02T03:04:05.678Z');

function read(text: string, version: string): JsonObject {
  const object: unknown = parse(text);
  return { apiVersion: version, ...(isObject(object) ? object : {}) };
}

function run(schemaName: SchemaName, ops: readonly Op[]): JsonObject | undefined {
  let schema: Schema = schemas[schemaName];
  let live: JsonObject | undefined;
  for (const op of ops) {
    if (op[0] === 'schema') {
      schema = schemas[op[1]];
      continue;
    }
    const [kind, manager, version, text] = op;
    const object = read(text, version);
    const common = { manager, apiVersion: version, schema, resolve, now, live };
    if (kind === 'update') {
      const managedFields = updateManagedFields({ ...common, next: object });
      live = { ...object, metadata: { managedFields } };
    } else if (kind === 'conflict') {
      let error: unknown;
      try {
        applyPatch({ ...common, patch: object, force: false });
      } catch (e) {
        error = e;
      }
      expect(error).toBeInstanceOf(StatusError);
      if (error instanceof StatusError) {
        expect(error.details?.causes?.map((c) => `${/"(.*)"/.exec(c.message ?? '')?.[1]} ${c.field}`)).toEqual(op[4]);
      }
    } else live = applyPatch({ ...common, patch: object, force: kind === 'force' }).object;
  }
  return live;
}

function ownership(live: JsonObject | undefined): Record<string, string[]> {
  const metadata = live?.['metadata'];
  const entries = isObject(metadata) ? ((metadata['managedFields'] ?? []) as ManagedFieldsEntry[]) : [];
  return Object.fromEntries(
    entries.map((e) => [`${e.manager} ${e.apiVersion} ${e.operation}`, pathsOf((e.fieldsV1 ?? {}) as FieldSet).map(formatFieldPath)]),
  );
}

/** Null members say the same as absent ones. */
function content(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(content);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([k, v]) => v !== null && k !== 'apiVersion' && k !== 'metadata')
      .map(([k, v]) => [k, content(v)]),
  );
}

function cases(title: string, schema: SchemaName, table: Readonly<Record<string, Case>>): void {
  describe(`applying: ${title}`, () => {
    test.each(Object.entries(table))('%s', (_name, c) => {
      const live = run(schema, c.ops);
      expect(content(live)).toEqual(content(read(c.object, '')));
      if (c.managed !== undefined) expect(ownership(live)).toEqual(c.managed);
    });
  });
}

cases('several appliers of a list map', 'list', {
  'one item is removed': {
    ops: [
      ['apply', 'apply-one', 'v1', 'list: [{name: a}, {name: b}]'],
      ['apply', 'apply-two', 'v2', 'list: [{name: c}]'],
      ['apply', 'apply-one', 'v3', 'list: [{name: a}]'],
    ],
    object: 'list: [{name: a}, {name: c}]',
    managed: {
      'apply-one v3 Apply': ['.list[name="a"]', '.list[name="a"].name'],
      'apply-two v2 Apply': ['.list[name="c"]', '.list[name="c"].name'],
    },
  },
  'the same value is no conflict': {
    ops: [
      ['apply', 'apply-one', 'v1', 'list: [{name: a, value: 0}]'],
      ['apply', 'apply-two', 'v2', 'list: [{name: a, value: 0}]'],
    ],
    object: 'list: [{name: a, value: 0}]',
    managed: {
      'apply-one v1 Apply': ['.list[name="a"]', '.list[name="a"].name', '.list[name="a"].value'],
      'apply-two v2 Apply': ['.list[name="a"]', '.list[name="a"].name', '.list[name="a"].value'],
    },
  },
  'another value is a conflict': {
    ops: [
      ['apply', 'apply-one', 'v1', 'list: [{name: a, value: 0}]'],
      ['conflict', 'apply-two', 'v2', 'list: [{name: a, value: 1}]', ['apply-one .list[name="a"].value']],
    ],
    object: 'list: [{name: a, value: 0}]',
    managed: { 'apply-one v1 Apply': ['.list[name="a"]', '.list[name="a"].name', '.list[name="a"].value'] },
  },
  'what another still applies stays': {
    ops: [
      ['apply', 'apply-one', 'v1', 'list: [{name: a}, {name: b}, {name: c}]'],
      ['apply', 'apply-two', 'v2', 'list: [{name: c}, {name: d}]'],
      ['apply', 'apply-one', 'v3', 'list: [{name: a}]'],
    ],
    object: 'list: [{name: a}, {name: c}, {name: d}]',
    managed: {
      'apply-one v3 Apply': ['.list[name="a"]', '.list[name="a"].name'],
      'apply-two v2 Apply': ['.list[name="c"]', '.list[name="c"].name', '.list[name="d"]', '.list[name="d"].name'],
    },
  },
  'the order is the applier’s, and what others have keeps its place': {
    ops: [
      ['update', 'updater', 'v1', 'list: [{name: a}, {name: b}, {name: c}, {name: d}]'],
      ['force', 'applier', 'v1', 'list: [{name: d}, {name: a}, {name: e}]'],
    ],
    object: 'list: [{name: b}, {name: c}, {name: d}, {name: a}, {name: e}]',
  },
});

cases('sets', 'set', {
  'an applier removes what it added': {
    ops: [
      ['apply', 'default', 'v1', 'list: [a, b]'],
      ['apply', 'default', 'v1', 'list: [a, c]'],
    ],
    object: 'list: [a, c]',
    managed: { 'default v1 Apply': ['.list[="a"]', '.list[="c"]'] },
  },
  'an updater’s item stays': {
    ops: [
      ['apply', 'default', 'v1', 'list: [a, b]'],
      ['update', 'controller', 'v1', 'list: [a, b, c]'],
      ['apply', 'default', 'v1', 'list: [a]'],
    ],
    object: 'list: [a, c]',
    managed: { 'default v1 Apply': ['.list[="a"]'], 'controller v1 Update': ['.list[="c"]'] },
  },
  'items that others share stay': {
    ops: [
      ['apply', 'one', 'v1', 'list: [a, b]'],
      ['apply', 'two', 'v1', 'list: [b, c]'],
      ['apply', 'one', 'v1', 'list: [a]'],
    ],
    object: 'list: [a, b, c]',
    managed: { 'one v1 Apply': ['.list[="a"]'], 'two v1 Apply': ['.list[="b"]', '.list[="c"]'] },
  },
});

cases('leaves', 'leaf', {
  'an applier changes its own value': {
    ops: [
      ['apply', 'default', 'v1', '{numeric: 1, string: a}'],
      ['apply', 'default', 'v1', '{numeric: 2, string: a}'],
    ],
    object: '{numeric: 2, string: a}',
    managed: { 'default v1 Apply': ['.numeric', '.string'] },
  },
  'an updater takes the field': {
    ops: [
      ['apply', 'default', 'v1', '{numeric: 1, string: a}'],
      ['update', 'controller', 'v1', '{numeric: 1, string: b, bool: true}'],
    ],
    object: '{numeric: 1, string: b, bool: true}',
    managed: { 'default v1 Apply': ['.numeric'], 'controller v1 Update': ['.bool', '.string'] },
  },
  'what an updater changed is a conflict': {
    ops: [
      ['apply', 'default', 'v1', '{numeric: 1, string: a}'],
      ['update', 'controller', 'v1', '{numeric: 1, string: controller}'],
      ['conflict', 'default', 'v1', '{numeric: 2, string: user}', ['controller .string']],
    ],
    object: '{numeric: 1, string: controller}',
    managed: { 'default v1 Apply': ['.numeric'], 'controller v1 Update': ['.string'] },
  },
  'force takes it': {
    ops: [
      ['apply', 'default', 'v1', '{numeric: 1, string: a}'],
      ['update', 'controller', 'v1', '{numeric: 1, string: controller, bool: true}'],
      ['force', 'default', 'v1', '{numeric: 2, string: user}'],
    ],
    object: '{numeric: 2, string: user, bool: true}',
    managed: { 'default v1 Apply': ['.numeric', '.string'], 'controller v1 Update': ['.bool'] },
  },
  'applying the value that an updater set shares it': {
    ops: [
      ['apply', 'default', 'v1', '{numeric: 1, string: a}'],
      ['update', 'controller', 'v1', '{numeric: 1, string: b}'],
      ['apply', 'default', 'v1', '{numeric: 2, string: b}'],
    ],
    object: '{numeric: 2, string: b}',
    managed: { 'default v1 Apply': ['.numeric', '.string'], 'controller v1 Update': ['.string'] },
  },
  'giving up a shared field keeps it': {
    ops: [
      ['apply', 'one', 'v1', '{numeric: 1, string: a}'],
      ['apply', 'two', 'v1', '{string: a}'],
      ['apply', 'one', 'v1', '{numeric: 1}'],
    ],
    object: '{numeric: 1, string: a}',
    managed: { 'one v1 Apply': ['.numeric'], 'two v1 Apply': ['.string'] },
  },
  'an applied null is owned': {
    ops: [['apply', 'default', 'v1', '{numeric: 1, string: null}']],
    object: '{numeric: 1}',
    managed: { 'default v1 Apply': ['.numeric', '.string'] },
  },
  'a manager that loses everything is forgotten': {
    ops: [
      ['apply', 'default', 'v1', '{string: a}'],
      ['update', 'controller', 'v1', '{string: b}'],
    ],
    object: '{string: b}',
    managed: { 'controller v1 Update': ['.string'] },
  },
  'what an updater removes nobody owns': {
    ops: [
      ['apply', 'default', 'v1', '{numeric: 1, string: a}'],
      ['update', 'controller', 'v1', '{numeric: 1}'],
    ],
    object: '{numeric: 1}',
    managed: { 'default v1 Apply': ['.numeric'] },
  },
});

const b = '.listOfLists[name="b"]';
cases('nested', 'nested', {
  'values of a list item change': {
    ops: [
      ['apply', 'default', 'v1', 'listOfLists: [{name: a, value: [b, c]}]'],
      ['apply', 'default', 'v1', 'listOfLists: [{name: a, value: [a, c]}]'],
    ],
    object: 'listOfLists: [{name: a, value: [a, c]}]',
    managed: {
      'default v1 Apply': [
        '.listOfLists[name="a"]',
        '.listOfLists[name="a"].name',
        '.listOfLists[name="a"].value[="a"]',
        '.listOfLists[name="a"].value[="c"]',
      ],
    },
  },
  'key and values of a list item change': {
    ops: [
      ['apply', 'default', 'v1', 'listOfLists: [{name: a, value: [b, c]}]'],
      ['apply', 'default', 'v1', 'listOfLists: [{name: b, value: [a, c]}]'],
    ],
    object: 'listOfLists: [{name: b, value: [a, c]}]',
    managed: { 'default v1 Apply': [b, `${b}.name`, `${b}.value[="a"]`, `${b}.value[="c"]`] },
  },
  'members of a map in a list item change': {
    ops: [
      ['apply', 'default', 'v1', 'listOfMaps: [{name: a, value: {b: x, c: y}}]'],
      ['apply', 'default', 'v1', 'listOfMaps: [{name: a, value: {a: x, c: z}}]'],
    ],
    object: 'listOfMaps: [{name: a, value: {a: x, c: z}}]',
  },
  'a list in a map changes': {
    ops: [
      ['apply', 'default', 'v1', 'mapOfLists: {a: [b, c]}'],
      ['apply', 'default', 'v1', 'mapOfLists: {b: [a, c]}'],
    ],
    object: 'mapOfLists: {b: [a, c]}',
    managed: { 'default v1 Apply': ['.mapOfLists.b', '.mapOfLists.b[="a"]', '.mapOfLists.b[="c"]'] },
  },
  'a map in a map changes': {
    ops: [
      ['apply', 'default', 'v1', 'mapOfMaps: {a: {b: x, c: y}}'],
      ['apply', 'default', 'v1', 'mapOfMaps: {a: {a: x, c: z}}'],
    ],
    object: 'mapOfMaps: {a: {a: x, c: z}}',
    managed: { 'default v1 Apply': ['.mapOfMaps.a', '.mapOfMaps.a.a', '.mapOfMaps.a.c'] },
  },
  'a key in the middle of recursive maps changes': {
    ops: [
      ['apply', 'default', 'v1', 'mapOfMapsRecursive: {a: {b: {c: null}}}'],
      ['apply', 'default', 'v1', 'mapOfMapsRecursive: {a: {d: {c: null}}}'],
    ],
    object: 'mapOfMapsRecursive: {a: {d: {c: null}}}',
    managed: { 'default v1 Apply': ['.mapOfMapsRecursive.a', '.mapOfMapsRecursive.a.d', '.mapOfMapsRecursive.a.d.c'] },
  },
  'a struct that is not applied any more goes': {
    ops: [
      ['apply', 'default', 'v1', 'struct: {name: a, value: 1}'],
      ['apply', 'default', 'v1', '{}'],
    ],
    object: '{}',
    managed: {},
  },
  'a struct applied as null is owned': {
    ops: [
      ['apply', 'default', 'v1', 'struct: {name: a}'],
      ['apply', 'default', 'v1', 'struct: null'],
    ],
    object: 'struct: null',
    managed: { 'default v1 Apply': ['.struct'] },
  },
  'a struct in which somebody else owns something stays': {
    ops: [
      ['apply', 'default', 'v1', 'struct: {name: a}'],
      ['update', 'controller', 'v1', 'struct: {name: a, value: 1}'],
      ['apply', 'default', 'v1', '{}'],
    ],
    object: 'struct: {value: 1}',
  },
  'a struct applied as {} keeps what others own': {
    ops: [
      ['apply', 'default', 'v1', 'struct: {name: a}'],
      ['update', 'controller', 'v1', 'struct: {name: a, value: 1}'],
      ['apply', 'default', 'v1', 'struct: {}'],
    ],
    object: 'struct: {value: 1}',
  },
  'a struct applied as null keeps what others took': {
    ops: [
      ['apply', 'default', 'v1', 'struct: {name: a}'],
      ['update', 'controller', 'v1', 'struct: {name: b, value: 1}'],
      ['apply', 'default', 'v1', 'struct: null'],
    ],
    object: 'struct: {name: b, value: 1}',
  },
  'one of two appliers gives up an item with its own sub-item': {
    ops: [
      ['apply', 'one', 'v1', 'listOfLists: [{name: a}, {name: b, value: [c]}]'],
      ['apply', 'two', 'v2', 'listOfLists: [{name: b, value: [d]}]'],
      ['apply', 'one', 'v3', 'listOfLists: [{name: a}]'],
    ],
    object: 'listOfLists: [{name: a}, {name: b, value: [d]}]',
    managed: {
      'one v3 Apply': ['.listOfLists[name="a"]', '.listOfLists[name="a"].name'],
      'two v2 Apply': [b, `${b}.name`, `${b}.value[="d"]`],
    },
  },
  'sub-items of a controller stay with an item that another applies': {
    ops: [
      ['apply', 'one', 'v1', 'listOfLists: [{name: a}, {name: b, value: [c]}]'],
      ['apply', 'two', 'v2', 'listOfLists: [{name: b, value: [d]}]'],
      ['update', 'controller', 'v2', 'listOfLists: [{name: a}, {name: b, value: [c, d, e]}]'],
      ['apply', 'one', 'v3', 'listOfLists: [{name: a}]'],
    ],
    object: 'listOfLists: [{name: a}, {name: b, value: [d, e]}]',
    managed: {
      'one v3 Apply': ['.listOfLists[name="a"]', '.listOfLists[name="a"].name'],
      'two v2 Apply': [b, `${b}.name`, `${b}.value[="d"]`],
      'controller v2 Update': [`${b}.value[="e"]`],
    },
  },
  'an item goes with a sub-item of a controller when its only applier gives it up': {
    ops: [
      ['apply', 'one', 'v1', 'listOfLists: [{name: a}, {name: b, value: [c]}]'],
      ['apply', 'two', 'v2', 'listOfLists: [{name: a, value: [b]}]'],
      ['update', 'controller', 'v2', 'listOfLists: [{name: a, value: [b]}, {name: b, value: [c, d]}]'],
      ['apply', 'one', 'v3', 'listOfLists: [{name: a}]'],
    ],
    object: 'listOfLists: [{name: a, value: [b]}]',
  },
});

const dupA = '.list[name="a"]';
const dupB = ['.list[name="b"]', '.list[name="b"].name', '.list[name="b"].value1'];
const duplicated = 'list: [{name: a, value1: 1}, {name: a, value1: 2}, {name: b, value1: 3}]';
cases('duplicates, which only updates can make', 'duplicates', {
  'of a set are owned once': {
    ops: [['update', 'one', 'v1', 'set: [1, 1, 3, 4]']],
    object: 'set: [1, 1, 3, 4]',
    managed: { 'one v1 Update': ['.set', '.set[=1]', '.set[=3]', '.set[=4]'] },
  },
  'belong to whoever makes them': {
    ops: [
      ['update', 'one', 'v1', 'set: [1, 3, 4]'],
      ['update', 'two', 'v1', 'set: [1, 1, 3, 4]'],
    ],
    object: 'set: [1, 1, 3, 4]',
    managed: { 'one v1 Update': ['.set', '.set[=3]', '.set[=4]'], 'two v1 Update': ['.set[=1]'] },
  },
  'are replaced by an applied item': {
    ops: [
      ['update', 'updater', 'v1', 'set: [1, 1, 3, 4]'],
      ['conflict', 'applier', 'v1', 'set: [1]', ['updater .set[=1]']],
      ['force', 'applier', 'v1', 'set: [1]'],
    ],
    object: 'set: [1, 3, 4]',
    managed: { 'updater v1 Update': ['.set', '.set[=3]', '.set[=4]'], 'applier v1 Apply': ['.set[=1]'] },
  },
  'stay when something else is applied': {
    ops: [
      ['update', 'updater', 'v1', 'set: [1, 1, 3, 4]'],
      ['apply', 'applier', 'v1', 'set: [5]'],
    ],
    object: 'set: [1, 1, 3, 4, 5]',
  },
  'of a list map are owned by key alone': {
    ops: [['update', 'updater', 'v1', duplicated]],
    object: duplicated,
    managed: { 'updater v1 Update': ['.list', dupA, ...dupB] },
  },
  'of a list map belong to whoever changes one': {
    ops: [
      ['update', 'one', 'v1', duplicated],
      ['update', 'two', 'v1', 'list: [{name: a, value1: 1}, {name: a, value1: 3}, {name: b, value1: 3}]'],
    ],
    object: 'list: [{name: a, value1: 1}, {name: a, value1: 3}, {name: b, value1: 3}]',
    managed: { 'one v1 Update': ['.list', ...dupB], 'two v1 Update': [dupA] },
  },
  'of a list map do not hinder other items': {
    ops: [
      ['update', 'updater', 'v1', duplicated],
      ['force', 'applier', 'v1', 'list: [{name: b, value1: 4}]'],
    ],
    object: 'list: [{name: a, value1: 1}, {name: a, value1: 2}, {name: b, value1: 4}]',
    managed: {
      'updater v1 Update': ['.list', dupA, '.list[name="b"]', '.list[name="b"].name'],
      'applier v1 Apply': dupB,
    },
  },
  'of a list map are replaced by an applied item': {
    ops: [
      ['update', 'updater', 'v1', duplicated],
      ['conflict', 'applier', 'v1', 'list: [{name: a, value1: 3}]', [`updater ${dupA}`]],
      ['force', 'applier', 'v1', 'list: [{name: a, value1: 3}]'],
    ],
    object: 'list: [{name: a, value1: 3}, {name: b, value1: 3}]',
    managed: { 'updater v1 Update': ['.list', ...dupB], 'applier v1 Apply': [dupA, `${dupA}.name`, `${dupA}.value1`] },
  },
  'stay when an applier gives up its one of them': {
    ops: [
      ['apply', 'applier', 'v1', 'list: [{name: a, value1: 1}, {name: b, value1: 3}]'],
      ['update', 'updater', 'v1', duplicated],
      ['apply', 'applier', 'v1', 'list: [{name: b, value1: 3}]'],
    ],
    object: duplicated,
    managed: { 'applier v1 Apply': dupB, 'updater v1 Update': [dupA] },
  },
});

cases('keys with defaults', 'ports', {
  'are filled in': {
    ops: [['apply', 'default', 'v1', 'containerPorts: [{port: 80}]']],
    object: 'containerPorts: [{port: 80}]',
    managed: { 'default v1 Apply': ['.containerPorts[port=80,protocol="TCP"]', '.containerPorts[port=80,protocol="TCP"].port'] },
  },
  'tell items apart': {
    ops: [
      ['apply', 'one', 'v1', 'containerPorts: [{port: 80}, {port: 80, protocol: UDP}]'],
      ['apply', 'two', 'v1', 'containerPorts: [{port: 80, protocol: TCP, name: web}]'],
      ['apply', 'one', 'v1', 'containerPorts: [{port: 80}]'],
    ],
    object: 'containerPorts: [{port: 80, protocol: TCP, name: web}]',
  },
});

cases('atomic parts', 'atomic', {
  'are owned and replaced as a whole': {
    ops: [
      ['apply', 'one', 'v1', '{list: [a, b], struct: {numeric: 1}}'],
      ['conflict', 'two', 'v1', 'list: [c]', ['one .list']],
      ['force', 'two', 'v1', '{list: [c], struct: {string: x}}'],
    ],
    object: '{list: [c], struct: {string: x}}',
    managed: { 'two v1 Apply': ['.list', '.struct'] },
  },
  'go as a whole': {
    ops: [
      ['apply', 'one', 'v1', '{list: [a, b], struct: {numeric: 1}}'],
      ['apply', 'one', 'v1', '{list: [a]}'],
    ],
    object: '{list: [a]}',
  },
});

cases('a schema that became atomic', 'granular', {
  'makes owners of parts owners of the whole': {
    ops: [
      ['apply', 'one', 'v1', 'struct: {numeric: 1}'],
      ['schema', 'atomic'],
      ['conflict', 'two', 'v1', 'struct: {string: string}', ['one .struct']],
      ['force', 'two', 'v1', 'struct: {string: string}'],
    ],
    object: 'struct: {string: string}',
    managed: { 'two v1 Apply': ['.struct'] },
  },
});

cases('a schema that became granular', 'atomic', {
  'makes the owner of the whole the owner of every part': {
    ops: [
      ['apply', 'one', 'v1', 'struct: {numeric: 1, string: a}'],
      ['conflict', 'two', 'v1', 'struct: {string: b}', ['one .struct']],
      ['schema', 'granular'],
      ['conflict', 'two', 'v1', 'struct: {string: b}', ['one .struct.string']],
      ['force', 'two', 'v1', 'struct: {string: b}'],
    ],
    object: 'struct: {numeric: 1, string: b}',
    managed: { 'one v1 Apply': ['.struct', '.struct.numeric'], 'two v1 Apply': ['.struct.string'] },
  },
});

cases('without a schema', 'deduced', {
  'maps are granular and lists atomic': {
    ops: [
      ['apply', 'one', 'v1', '{a: {b: 1, c: [1, 2]}, d: x}'],
      ['apply', 'two', 'v1', '{a: {e: 2}}'],
      ['conflict', 'two', 'v1', '{a: {c: [3]}}', ['one .a.c']],
      ['apply', 'one', 'v1', '{d: x}'],
    ],
    object: '{a: {e: 2}, d: x}',
    managed: { 'one v1 Apply': ['.d'], 'two v1 Apply': ['.a', '.a.e'] },
  },
  'a changed type takes what was below': {
    ops: [
      ['apply', 'one', 'v1', '{a: {b: 1}}'],
      ['update', 'two', 'v1', '{a: x}'],
    ],
    object: '{a: x}',
    managed: { 'two v1 Update': ['.a'] },
  },
});
