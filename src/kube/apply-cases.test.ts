/** structured-merge-diff's merge tests in which all versions of the kind are the same. */
import { expect, test } from 'vitest';
import { type ApplyCase, apply, expectCase, force, update, type Versions } from './apply-testing.ts';
import type { Schema } from './schema.ts';

const text: Schema = { type: 'string' };
const numeric: Schema = { type: 'number' };
const struct = (properties: Record<string, Schema>, more: Schema = {}): Schema => ({ type: 'object', properties, ...more });
const mapOf = (items: Schema): Schema => ({ type: 'object', additionalProperties: items });
const setOf = (items: Schema): Schema => ({ type: 'array', listType: 'set', items });
const listMap = (listMapKeys: readonly string[], items: Schema): Schema => ({ type: 'array', listType: 'map', listMapKeys, items });
const same = (schema: Schema): Versions => ({ schema: () => schema });

const recursive: Schema = mapOf({ ref: 'recursive' });
const nested: Versions = {
  schema: () =>
    struct({
      listOfLists: listMap(['name'], struct({ name: text, value: setOf(text) })),
      listOfMaps: listMap(['name'], struct({ name: text, value: mapOf(text) })),
      mapOfLists: mapOf(setOf(text)),
      mapOfMaps: mapOf(mapOf(text)),
      mapOfMapsRecursive: { ref: 'recursive' },
      struct: struct({ name: text, value: numeric }),
    }),
  resolve: () => recursive,
};
const deduced = same({});
const sets = same(struct({ list: setOf(text) }));
const associative = same(struct({ list: listMap(['name'], struct({ name: text, value: numeric })) }));
const leaves = same(struct({ numeric, string: text, bool: { type: 'boolean' } }));

type Row = readonly [title: string, versions: Versions, facts: ApplyCase];

const group = (title: string, versions: Versions, cases: Readonly<Record<string, ApplyCase>>): Row[] =>
  Object.entries(cases).map(([name, facts]) => [`${title}: ${name}`, versions, facts]);

const abcd = ['.list[="a"]', '.list[="b"]', '.list[="c"]', '.list[="d"]'];
const setsRows = group('sets', sets, {
  'applied twice: the items of both': {
    steps: [apply('default', 'v1', 'list: [a, c]'), apply('default', 'v1', 'list: [a, b, c, d]')],
    object: 'list: [a, b, c, d]',
    managed: { 'default@v1': abcd },
  },
  'what an updater added stays': {
    steps: [
      apply('default', 'v1', 'list: [a, c]'),
      update('controller', 'v1', 'list: [a, b, c, d]'),
      apply('default', 'v1', 'list: [a, aprime, c, cprime]'),
    ],
    object: 'list: [a, b, aprime, c, d, cprime]',
    managed: {
      'default@v1': ['.list[="a"]', '.list[="aprime"]', '.list[="c"]', '.list[="cprime"]'],
      'controller@v1': ['.list[="b"]', '.list[="d"]'],
    },
  },
  'an item that an updater added may be applied too': {
    steps: [
      apply('default', 'v1', 'list: [a, c]'),
      update('controller', 'v1', 'list: [a, b, c, d]'),
      apply('default', 'v1', 'list: [a, b, c]'),
    ],
    object: 'list: [a, b, c, d]',
    managed: { 'default@v1': abcd.slice(0, 3), 'controller@v1': ['.list[="b"]', '.list[="d"]'] },
  },
  'applied twice in another order: the last order': {
    steps: [apply('default', 'v1', 'list: [a, b, c, d]'), apply('default', 'v1', 'list: [a, d, c, b]')],
    object: 'list: [a, d, c, b]',
    managed: { 'default@v1': abcd },
  },
  'an order that an updater made is undone': {
    steps: [
      apply('default', 'v1', 'list: [a, b, c, d]'),
      update('controller', 'v1', 'list: [a, d, c, b]'),
      apply('default', 'v1', 'list: [a, b, c, d]'),
    ],
    object: 'list: [a, b, c, d]',
    managed: { 'default@v1': abcd },
  },
  'items no longer applied go': {
    steps: [apply('default', 'v1', 'list: [a, b, c, d]'), apply('default', 'v1', 'list: [a, c]')],
    object: 'list: [a, c]',
    managed: { 'default@v1': ['.list[="a"]', '.list[="c"]'] },
  },
});

const item = (list: string, name: string, ...fields: string[]): string[] => {
  const at = `.${list}[name="${name}"]`;
  return [at, `${at}.name`, ...fields.map((f) => at + f)];
};
const severalAppliersOfAListThatIsAMapRows = group('several appliers of a list that is a map', associative, {
  'the struct of a key no longer applied goes': {
    steps: [apply('default', 'v1', 'list: [{name: a, value: 1}]'), apply('default', 'v1', 'list: [{name: b, value: 2}]')],
    object: 'list: [{name: b, value: 2}]',
    managed: { 'default@v1': item('list', 'b', '.value') },
  },
  'one removes one of its own': {
    steps: [
      apply('one', 'v1', 'list: [{name: a}, {name: b}]'),
      apply('two', 'v2', 'list: [{name: c}]'),
      apply('one', 'v3', 'list: [{name: a}]'),
    ],
    object: 'list: [{name: a}, {name: c}]',
    managed: { 'one@v3': item('list', 'a'), 'two@v2': item('list', 'c') },
  },
  'the same value is no conflict': {
    steps: [apply('one', 'v1', 'list: [{name: a, value: 0}]'), apply('two', 'v2', 'list: [{name: a, value: 0}]')],
    object: 'list: [{name: a, value: 0}]',
    managed: { 'one@v1': item('list', 'a', '.value'), 'two@v2': item('list', 'a', '.value') },
  },
  'another value is one': {
    steps: [
      apply('one', 'v1', 'list: [{name: a, value: 0}]'),
      apply('two', 'v2', 'list: [{name: a, value: 1}]', { conflicts: ['one .list[name="a"].value'] }),
    ],
    object: 'list: [{name: a, value: 0}]',
    managed: { 'one@v1': item('list', 'a', '.value') },
  },
  'what another applies as well stays': {
    steps: [
      apply('one', 'v1', 'list: [{name: a}, {name: b}, {name: c}]'),
      apply('two', 'v2', 'list: [{name: c}, {name: d}]'),
      apply('one', 'v3', 'list: [{name: a}]'),
    ],
    object: 'list: [{name: a}, {name: c}, {name: d}]',
    managed: { 'one@v3': item('list', 'a'), 'two@v2': [...item('list', 'c'), ...item('list', 'd')] },
  },
});

const nestedTypesOneApplierRows = group('nested types: one applier', nested, {
  'a list of lists: another value': {
    steps: [
      apply('default', 'v1', 'listOfLists: [{name: a, value: [b, c]}]'),
      apply('default', 'v1', 'listOfLists: [{name: a, value: [a, c]}]'),
    ],
    object: 'listOfLists: [{name: a, value: [a, c]}]',
    managed: { 'default@v1': item('listOfLists', 'a', '.value[="a"]', '.value[="c"]') },
  },
  'a list of lists: another key and value': {
    steps: [
      apply('default', 'v1', 'listOfLists: [{name: a, value: [b, c]}]'),
      apply('default', 'v1', 'listOfLists: [{name: b, value: [a, c]}]'),
    ],
    object: 'listOfLists: [{name: b, value: [a, c]}]',
    managed: { 'default@v1': item('listOfLists', 'b', '.value[="a"]', '.value[="c"]') },
  },
  'a list of maps: another value': {
    steps: [
      apply('default', 'v1', 'listOfMaps: [{name: a, value: {b: x, c: "y"}}]'),
      apply('default', 'v1', 'listOfMaps: [{name: a, value: {a: x, c: z}}]'),
    ],
    object: 'listOfMaps: [{name: a, value: {a: x, c: z}}]',
    managed: { 'default@v1': item('listOfMaps', 'a', '.value.a', '.value.c') },
  },
  'a list of maps: another key and value': {
    steps: [
      apply('default', 'v1', 'listOfMaps: [{name: a, value: {b: x, c: "y"}}]'),
      apply('default', 'v1', 'listOfMaps: [{name: b, value: {a: x, c: z}}]'),
    ],
    object: 'listOfMaps: [{name: b, value: {a: x, c: z}}]',
    managed: { 'default@v1': item('listOfMaps', 'b', '.value.a', '.value.c') },
  },
  'a map of lists: another value': {
    steps: [apply('default', 'v1', 'mapOfLists: {a: [b, c]}'), apply('default', 'v1', 'mapOfLists: {a: [a, c]}')],
    object: 'mapOfLists: {a: [a, c]}',
    managed: { 'default@v1': ['.mapOfLists.a', '.mapOfLists.a[="a"]', '.mapOfLists.a[="c"]'] },
  },
  'a map of lists: another key and value': {
    steps: [apply('default', 'v1', 'mapOfLists: {a: [b, c]}'), apply('default', 'v1', 'mapOfLists: {b: [a, c]}')],
    object: 'mapOfLists: {b: [a, c]}',
    managed: { 'default@v1': ['.mapOfLists.b', '.mapOfLists.b[="a"]', '.mapOfLists.b[="c"]'] },
  },
  'a map of maps: another value': {
    steps: [apply('default', 'v1', 'mapOfMaps: {a: {b: x, c: "y"}}'), apply('default', 'v1', 'mapOfMaps: {a: {a: x, c: z}}')],
    object: 'mapOfMaps: {a: {a: x, c: z}}',
    managed: { 'default@v1': ['.mapOfMaps.a', '.mapOfMaps.a.a', '.mapOfMaps.a.c'] },
  },
  'a map of maps: another key and value': {
    steps: [apply('default', 'v1', 'mapOfMaps: {a: {b: x, c: "y"}}'), apply('default', 'v1', 'mapOfMaps: {b: {a: x, c: z}}')],
    object: 'mapOfMaps: {b: {a: x, c: z}}',
    managed: { 'default@v1': ['.mapOfMaps.b', '.mapOfMaps.b.a', '.mapOfMaps.b.c'] },
  },
  'a recursive map: another key in the middle': {
    steps: [apply('default', 'v1', 'mapOfMapsRecursive: {a: {b: {c: }}}'), apply('default', 'v1', 'mapOfMapsRecursive: {a: {d: {c: }}}')],
    object: 'mapOfMapsRecursive: {a: {d: {c: }}}',
    managed: { 'default@v1': ['.mapOfMapsRecursive.a', '.mapOfMapsRecursive.a.d', '.mapOfMapsRecursive.a.d.c'] },
  },
  'a struct: all removed': {
    steps: [apply('default', 'v1', 'struct: {name: a, value: 1}'), apply('default', 'v1', '{}')],
    object: '{}',
    managed: {},
  },
  'a struct: removed but for its name': {
    steps: [apply('default', 'v1', 'struct: {name: a}'), apply('default', 'v1', 'struct:')],
    object: 'struct:',
    managed: { 'default@v1': ['.struct'] },
  },
  'a struct: all removed, the part of an updater stays': {
    steps: [
      apply('default', 'v1', 'struct: {name: a}'),
      update('controller', 'v1', 'struct: {name: a, value: 1}'),
      apply('default', 'v1', '{}'),
    ],
    object: 'struct: {value: 1}',
  },
  'a struct: emptied, the part of an updater stays': {
    steps: [
      apply('default', 'v1', 'struct: {name: a}'),
      update('controller', 'v1', 'struct: {name: a, value: 1}'),
      apply('default', 'v1', 'struct: {}'),
    ],
    object: 'struct: {value: 1}',
  },
  'a struct: null, the part of an updater stays': {
    steps: [
      apply('default', 'v1', 'struct: {name: a}'),
      update('controller', 'v1', 'struct: {name: a, value: 1}'),
      apply('default', 'v1', 'struct:'),
    ],
    object: 'struct: {value: 1}',
  },
  'a struct: what an updater took over stays': {
    steps: [
      apply('default', 'v1', 'struct: {name: a}'),
      update('controller', 'v1', 'struct: {name: b, value: 1}'),
      apply('default', 'v1', 'struct:'),
    ],
    object: 'struct: {name: b, value: 1}',
  },
});

const recursiveMap = (root: string): Record<string, string[]> => {
  const at = (...paths: string[]): string[] => paths.map((p) => root + p);
  return {
    'two@v2': at('.a', '.c', '.c.d'),
    'controller-one@v3': at('.c.d.e', '.c.d.e.f.g'),
    'controller-two@v2': at('.c.d.e.f'),
  };
};
const nestedTypesSeveralAppliersRows = group('nested types: several appliers', nested, {
  'an item with sub-items of two': {
    steps: [
      apply('one', 'v1', 'listOfLists: [{name: a}, {name: b, value: [c]}]'),
      apply('two', 'v2', 'listOfLists: [{name: b, value: [d]}]'),
      apply('one', 'v3', 'listOfLists: [{name: a}]'),
    ],
    object: 'listOfLists: [{name: a}, {name: b, value: [d]}]',
    managed: { 'one@v3': item('listOfLists', 'a'), 'two@v2': item('listOfLists', 'b', '.value[="d"]') },
  },
  'an item with a sub-item of an updater, held by another applier': {
    steps: [
      apply('one', 'v1', 'listOfLists: [{name: a}, {name: b, value: [c]}]'),
      apply('two', 'v2', 'listOfLists: [{name: b, value: [d]}]'),
      update('controller', 'v2', 'listOfLists: [{name: a}, {name: b, value: [c, d, e]}]'),
      apply('one', 'v3', 'listOfLists: [{name: a}]'),
    ],
    object: 'listOfLists: [{name: a}, {name: b, value: [d, e]}]',
    managed: {
      'one@v3': item('listOfLists', 'a'),
      'two@v2': item('listOfLists', 'b', '.value[="d"]'),
      'controller@v2': ['.listOfLists[name="b"].value[="e"]'],
    },
  },
  'an item with a sub-item of an updater goes with the one who applied the item': {
    steps: [
      apply('one', 'v1', 'listOfLists: [{name: a}, {name: b, value: [c]}]'),
      apply('two', 'v2', 'listOfLists: [{name: a, value: [b]}]'),
      update('controller', 'v2', 'listOfLists: [{name: a, value: [b]}, {name: b, value: [c, d]}]'),
      apply('one', 'v3', 'listOfLists: [{name: a}]'),
    ],
    object: 'listOfLists: [{name: a, value: [b]}]',
    managed: { 'one@v3': item('listOfLists', 'a'), 'two@v2': item('listOfLists', 'a', '.value[="b"]') },
  },
  'a recursive map, of which one applier lets go': {
    steps: [
      apply('one', 'v1', 'mapOfMapsRecursive: {a: {b: }, c: {d: }}'),
      apply('two', 'v2', 'mapOfMapsRecursive: {a: , c: {d: }}'),
      update('controller-one', 'v3', 'mapOfMapsRecursive: {a: {b: {c: }}, c: {d: {e: }}}'),
      update('controller-two', 'v2', 'mapOfMapsRecursive: {a: {b: {c: {d: }}}, c: {d: {e: {f: }}}}'),
      update('controller-one', 'v3', 'mapOfMapsRecursive: {a: {b: {c: {d: {e: }}}}, c: {d: {e: {f: {g: }}}}}'),
      apply('one', 'v4', 'mapOfMapsRecursive:'),
    ],
    object: 'mapOfMapsRecursive: {a: , c: {d: {e: {f: {g: }}}}}',
    managed: { 'one@v4': ['.mapOfMapsRecursive'], ...recursiveMap('.mapOfMapsRecursive') },
  },
});
const deducedTypesSeveralAppliersRows = group('deduced types: several appliers', deduced, {
  'a recursive map, of which one applier lets go': {
    steps: [
      apply('one', 'v1', '{a: {b: }, c: {d: }}'),
      apply('two', 'v2', '{a: , c: {d: }}'),
      update('controller-one', 'v3', '{a: {b: {c: }}, c: {d: {e: }}}'),
      update('controller-two', 'v2', '{a: {b: {c: {d: }}}, c: {d: {e: {f: }}}}'),
      update('controller-one', 'v3', '{a: {b: {c: {d: {e: }}}}, c: {d: {e: {f: {g: }}}}}'),
      apply('one', 'v4', '{}'),
    ],
    object: '{a: , c: {d: {e: {f: {g: }}}}}',
    managed: recursiveMap(''),
  },
});

const leafCases = (bool: readonly string[]): Readonly<Record<string, ApplyCase>> => ({
  'applied twice': {
    steps: [apply('default', 'v1', '{numeric: 1, string: s}'), apply('default', 'v1', '{numeric: 2, string: s, bool: false}')],
    object: '{numeric: 2, string: s, bool: false}',
    managed: { 'default@v1': ['.numeric', '.string', '.bool'] },
  },
  'applied twice in different versions': {
    steps: [apply('default', 'v1', '{numeric: 1, string: s}'), apply('default', 'v2', '{numeric: 2, string: s, bool: false}')],
    object: '{numeric: 2, string: s, bool: false}',
    managed: { 'default@v2': ['.numeric', '.string', '.bool'] },
  },
  'an updater in another version owns what it added': {
    steps: [
      apply('default', 'v1', '{numeric: 1, string: s}'),
      update('controller', 'v2', '{numeric: 1, string: s, bool: true}'),
      apply('default', 'v1', '{numeric: 2, string: s}'),
    ],
    object: '{numeric: 2, string: s, bool: true}',
    managed: { 'default@v1': ['.numeric', '.string'], 'controller@v2': bool },
  },
  'what an updater changed is a conflict, and force takes it back': {
    steps: [
      apply('default', 'v1', '{numeric: 1, string: s}'),
      update('controller', 'v1', '{numeric: 1, string: c, bool: true}'),
      apply('default', 'v1', '{numeric: 2, string: u}', { conflicts: ['controller .string'] }),
      force('default', 'v1', '{numeric: 2, string: u}'),
    ],
    object: '{numeric: 2, string: u, bool: true}',
    managed: { 'default@v1': ['.numeric', '.string'], 'controller@v1': bool },
  },
  'also across versions': {
    steps: [
      apply('default', 'v1', '{numeric: 1, string: s}'),
      update('controller', 'v2', '{numeric: 1, string: c, bool: true}'),
      apply('default', 'v1', '{numeric: 2, string: u}', { conflicts: ['controller .string'] }),
      force('default', 'v1', '{numeric: 2, string: u}'),
    ],
    object: '{numeric: 2, string: u, bool: true}',
    managed: { 'default@v1': ['.numeric', '.string'], 'controller@v2': bool },
  },
  'what is no longer applied goes': {
    steps: [apply('default', 'v1', '{numeric: 1, string: s, bool: false}'), apply('default', 'v1', 'string: other')],
    object: 'string: other',
    managed: { 'default@v1': ['.string'] },
  },
  'also when applied in another version': {
    steps: [apply('default', 'v1', '{numeric: 1, string: s, bool: false}'), apply('default', 'v2', 'string: other')],
    object: 'string: other',
    managed: { 'default@v2': ['.string'] },
  },
  'what an updater took is not removed': {
    steps: [apply('default', 'v1', 'numeric: 2'), update('controller', 'v1', 'numeric: 1'), apply('default', 'v1', '{}')],
    object: 'numeric: 1',
    managed: { 'controller@v1': ['.numeric'] },
  },
  'an applier who lost everything is forgotten': {
    steps: [apply('default', 'v1', 'string: s'), update('controller', 'v1', 'string: other')],
    object: 'string: other',
    managed: { 'controller@v1': ['.string'] },
  },
  'an applier who applies nothing is forgotten': {
    steps: [apply('default', 'v1', 'string: s'), apply('default', 'v1', '{}')],
    object: '{}',
    managed: {},
  },
});
const leavesRows = group('leaves', leaves, leafCases(['.bool']));
const leavesOfADeducedTypeRows = group('leaves of a deduced type', deduced, leafCases(['.bool']));

const deep = '{a: 1, b: {c: {d: 2, e: [1, 2, 3], f: [{name: n, value: 1}]}}}';
const deepUpdated = '{a: 1, b: {c: {d: 3, e: [1, 2, 3, 4], f: [{name: n, value: 2}]}}, g: 5}';
const deepAgain = '{a: 2, b: {c: {d: 2, e: [3, 2, 1], f: [{name: n, value: 1}]}}}';
const deepSteps = (second: string, third: string) => [
  apply('default', 'v1', deep),
  update('controller', second, deepUpdated),
  apply('default', third, deepAgain, { conflicts: ['controller .b.c.d', 'controller .b.c.e', 'controller .b.c.f'] }),
  force('default', third, deepAgain),
];
const deducedTypesRows = group('deduced types', deduced, {
  'lists are atomic': {
    steps: [apply('default', 'v1', 'list: [a, c]'), apply('default', 'v1', 'list: [a, d, c, b]')],
    object: 'list: [a, d, c, b]',
    managed: { 'default@v1': ['.list'] },
  },
  'lists are replaced as a whole': {
    steps: [
      apply('default', 'v1', 'list: [a, c]'),
      update('controller', 'v1', 'list: [a, b, c, d]'),
      force('default', 'v1', 'list: [a, b, c]'),
    ],
    object: 'list: [a, b, c]',
    managed: { 'default@v1': ['.list'] },
  },
  'maps are granular at any depth': { steps: deepSteps('v1', 'v1'), object: `{${deepAgain.slice(1, -1)}, g: 5}` },
  'also across versions': { steps: deepSteps('v2', 'v3'), object: `{${deepAgain.slice(1, -1)}, g: 5}` },
});

const ports = same(
  struct({ containerPorts: listMap(['port', 'protocol'], struct({ port: numeric, protocol: { ...text, default: 'TCP' }, name: text })) }),
);
const port = (protocol: string, ...fields: string[]): string[] => {
  const at = `.containerPorts[port=80,protocol="${protocol}"]`;
  return [at, ...fields.map((f) => `${at}.${f}`)];
};
const keysWithDefaultsRows = group('keys with defaults', ports, {
  'a key left out counts with its default': {
    steps: [apply('default', 'v1', 'containerPorts: [{port: 80}]')],
    object: 'containerPorts: [{port: 80}]',
    managed: { 'default@v1': port('TCP', 'port') },
  },
  'beside an item that gives the key': {
    steps: [apply('default', 'v1', 'containerPorts: [{port: 80}, {port: 80, protocol: UDP}]')],
    object: 'containerPorts: [{port: 80}, {port: 80, protocol: UDP}]',
    managed: { 'default@v1': [...port('TCP', 'port'), ...port('UDP', 'port', 'protocol')] },
  },
  'an item without the key meets one with it': {
    steps: [
      apply('one', 'v1', 'containerPorts: [{port: 80, protocol: TCP, name: foo}]'),
      apply('two', 'v1', 'containerPorts: [{port: 80, name: bar}]', { conflicts: ['one .containerPorts[port=80,protocol="TCP"].name'] }),
    ],
    object: 'containerPorts: [{port: 80, protocol: TCP, name: foo}]',
    managed: { 'one@v1': port('TCP', 'port', 'protocol', 'name') },
  },
});
test.each(['[{protocol: TCP}]', '[{port: 80}, {port: 80}]', '[{port: 80}, {port: 80, protocol: TCP}]'])(
  'keys that are missing or ambiguous are refused: %s',
  (list) => {
    expect(() => expectCase({ steps: [apply('default', 'v1', `containerPorts: ${list}`)] }, ports)).toThrow(
      'failed to create typed patch object',
    );
  },
);
const sentence = struct({ page: { ...numeric, default: 2 }, line: { ...numeric, default: 3 }, text });
const sentences = '.book[chapter=1,section="A"].sentences[line=3,page=2]';
const nestedKeysWithDefaultsRows = group(
  'nested keys with defaults',
  same(
    struct({
      book: listMap(
        ['chapter', 'section'],
        struct({
          chapter: { ...numeric, default: 1 },
          section: { ...text, default: 'A' },
          sentences: listMap(['page', 'line'], sentence),
        }),
      ),
    }),
  ),
  {
    'all keys left out': {
      steps: [apply('default', 'v1', 'book: [{sentences: [{text: blah}]}]')],
      object: 'book: [{sentences: [{text: blah}]}]',
      managed: { 'default@v1': ['.book[chapter=1,section="A"]', sentences, `${sentences}.text`] },
    },
    'a key given later with its default value': {
      steps: [
        apply('default', 'v1', 'book: [{sentences: [{text: blah}]}]'),
        apply('default', 'v1', 'book: [{sentences: [{text: blah, page: 2}]}]'),
      ],
      object: 'book: [{sentences: [{text: blah, page: 2}]}]',
      managed: { 'default@v1': ['.book[chapter=1,section="A"]', sentences, `${sentences}.text`, `${sentences}.page`] },
    },
  },
);

const duplicates = same(
  struct({
    list: listMap(['name'], struct({ name: text, value1: numeric, value2: numeric })),
    unrelated: numeric,
    set: setOf(numeric),
  }),
);
const a1 = '{name: a, value1: 1}';
const a2 = '{name: a, value1: 2}';
const b3 = '{name: b, value1: 3}';
const ofB = item('list', 'b', '.value1');
const ofA = item('list', 'a', '.value1');
const keyA = '.list[name="a"]';
const duplicatesRows = group('duplicates', duplicates, {
  'of a set are owned once': {
    steps: [update('one', 'v1', 'set: [1, 1, 3, 4]')],
    managed: { 'one@v1': ['.set', '.set[=1]', '.set[=3]', '.set[=4]'] },
  },
  'of a set: who adds one owns the value': {
    steps: [update('one', 'v1', 'set: [1, 3, 4]'), update('two', 'v1', 'set: [1, 1, 3, 4]')],
    managed: { 'one@v1': ['.set', '.set[=3]', '.set[=4]'], 'two@v1': ['.set[=1]'] },
  },
  'of a set: who removes one owns the value': {
    steps: [update('one', 'v1', 'set: [1, 1, 3, 4]'), update('two', 'v1', 'set: [1, 3, 4]')],
    managed: { 'one@v1': ['.set', '.set[=3]', '.set[=4]'], 'two@v1': ['.set[=1]'] },
  },
  'of a set: applying the value once is a conflict': {
    steps: [
      update('updater', 'v1', 'set: [1, 1, 3, 4]'),
      apply('applier', 'v1', 'set: [1]', { conflicts: ['updater .set[=1]'] }),
      force('applier', 'v1', 'set: [1]'),
    ],
    object: 'set: [1, 3, 4]',
    managed: { 'updater@v1': ['.set', '.set[=3]', '.set[=4]'], 'applier@v1': ['.set[=1]'] },
  },
  'of a set stay when something else is applied': {
    steps: [update('updater', 'v1', 'set: [1, 1, 3, 4]'), apply('applier', 'v1', 'set: [5]')],
    object: 'set: [1, 1, 3, 4, 5]',
    managed: { 'updater@v1': ['.set', '.set[=1]', '.set[=3]', '.set[=4]'], 'applier@v1': ['.set[=5]'] },
  },
  'of a key: the key alone is owned': {
    steps: [update('updater', 'v1', `list: [${a1}, ${a2}, ${b3}]`)],
    managed: { 'updater@v1': ['.list', keyA, ...ofB] },
  },
  'of a key: who changes one owns the key': {
    steps: [update('one', 'v1', `list: [${a1}, ${a2}, ${b3}]`), update('two', 'v1', `list: [${a1}, {name: a, value1: 3}, ${b3}]`)],
    managed: { 'one@v1': ['.list', ...ofB], 'two@v1': [keyA] },
  },
  'of a key: who adds a field to one owns the key': {
    steps: [
      update('one', 'v1', `list: [${a1}, ${a2}, ${b3}]`),
      update('two', 'v1', `list: [${a1}, {name: a, value1: 2, value2: 3}, ${b3}]`),
    ],
    managed: { 'one@v1': ['.list', ...ofB], 'two@v1': [keyA] },
  },
  'of a key: who makes a second one owns the key': {
    steps: [update('one', 'v1', `list: [${a1}, ${b3}]`), update('two', 'v1', `list: [${a1}, {name: a, value2: 3}, ${b3}]`)],
    managed: { 'one@v1': ['.list', ...ofB], 'two@v1': [keyA] },
  },
  'of a key: another item leaves them alone': {
    steps: [update('one', 'v1', `list: [${a1}, ${a2}]`), update('two', 'v1', `list: [${a1}, ${a2}, ${b3}]`)],
    managed: { 'one@v1': ['.list', keyA], 'two@v1': ofB },
  },
  'of a key: an unrelated field leaves them alone': {
    steps: [update('updater', 'v1', `list: [${a1}, ${a2}, ${b3}]`), force('applier', 'v1', 'unrelated: 5')],
    object: `{list: [${a1}, ${a2}, ${b3}], unrelated: 5}`,
    managed: { 'updater@v1': ['.list', keyA, ...ofB], 'applier@v1': ['.unrelated'] },
  },
  'of a key: applying the key is a conflict, and force leaves one': {
    steps: [
      update('updater', 'v1', `list: [${a1}, ${a2}, ${b3}]`),
      apply('applier', 'v1', 'list: [{name: a, value1: 3}]', { conflicts: [`updater ${keyA}`] }),
      force('applier', 'v1', 'list: [{name: a, value1: 3}]'),
    ],
    object: `list: [{name: a, value1: 3}, ${b3}]`,
    managed: { 'updater@v1': ['.list', ...ofB], 'applier@v1': ofA },
  },
  'of a key: applying one as it stands is a conflict too': {
    steps: [
      update('updater', 'v1', `list: [${a1}, ${a2}, ${b3}]`),
      apply('applier', 'v1', `list: [${a2}]`, { conflicts: [`updater ${keyA}`] }),
      force('applier', 'v1', `list: [${a2}]`),
    ],
    object: `list: [${a2}, ${b3}]`,
    managed: { 'updater@v1': ['.list', ...ofB], 'applier@v1': ofA },
  },
  'of a key: an item beside them may be applied': {
    steps: [update('updater', 'v1', `list: [${a1}, ${a2}, ${b3}]`), force('applier', 'v1', 'list: [{name: b, value1: 4}]')],
    object: `list: [${a1}, ${a2}, {name: b, value1: 4}]`,
    managed: { 'updater@v1': ['.list', keyA, '.list[name="b"]', '.list[name="b"].name'], 'applier@v1': ofB },
  },
  'of a key: made by an updater from an applied item, they stay': {
    steps: [
      apply('applier', 'v1', `list: [${a1}, ${b3}]`),
      update('updater', 'v1', `list: [${a1}, ${a2}, ${b3}]`),
      apply('applier', 'v1', `list: [${b3}]`),
    ],
    object: `list: [${a1}, ${a2}, ${b3}]`,
    managed: { 'applier@v1': ofB, 'updater@v1': [keyA] },
  },
});

const ignored = [['string'], ['obj']];
const ignoredFieldsRows = group('ignored fields', deduced, {
  'an updater does not own them': {
    steps: [update('default', 'v1', '{numeric: 1, string: s}', { ignored })],
    object: '{numeric: 1, string: s}',
    managed: { 'default@v1': ['.numeric'] },
  },
  'an updater does not take them': {
    steps: [update('default', 'v1', '{numeric: 1, string: s}'), update('other', 'v1', '{numeric: 1, string: other}', { ignored })],
    object: '{numeric: 1, string: other}',
    managed: { 'default@v1': ['.numeric', '.string'] },
  },
  'nor what is below them': {
    steps: [update('default', 'v1', '{numeric: 1, obj: {string: foo, numeric: 2}}', { ignored })],
    managed: { 'default@v1': ['.numeric'] },
  },
  'an applier does not own them': {
    steps: [apply('default', 'v1', '{numeric: 1, string: s}', { ignored })],
    managed: { 'default@v1': ['.numeric'] },
  },
  'an applier does not take them': {
    steps: [apply('default', 'v1', '{numeric: 1, string: s}'), apply('other', 'v1', '{numeric: 1, string: other}', { ignored })],
    object: '{numeric: 1, string: s}',
    managed: { 'default@v1': ['.numeric', '.string'], 'other@v1': ['.numeric'] },
  },
  'nor what is below them when applying': {
    steps: [apply('default', 'v1', '{numeric: 1, obj: {string: foo, numeric: 2}}', { ignored })],
    managed: { 'default@v1': ['.numeric'] },
  },
});

const unknownFieldsThatAreKeptRows = group(
  'unknown fields that are kept',
  same(struct({ num: numeric }, { preserveUnknownFields: true })),
  {
    'are owned and merged': {
      steps: [apply('default', 'v1', '{num: 5, unknown: value}'), apply('default', 'v1', '{num: 6, unknown: new}')],
      object: '{num: 6, unknown: new}',
      managed: { 'default@v1': ['.num', '.unknown'] },
    },
  },
);

const atomicMapsRows = group('atomic maps', same(struct({ atomicMap: struct({ field1: text, field2: text }, { mapType: 'atomic' }) })), {
  'are owned as a whole': {
    steps: [
      apply('one', 'v1', 'atomicMap: {field1: a}'),
      apply('two', 'v1', 'atomicMap: {field2: b}', { conflicts: ['one .atomicMap'] }),
      force('two', 'v1', 'atomicMap: {field2: b}'),
    ],
    object: 'atomicMap: {field2: b}',
    managed: { 'two@v1': ['.atomicMap'] },
  },
});

const granular = struct({ struct: struct({ numeric, string: text }) });
const atomic = struct({ struct: struct({ numeric, string: text }, { mapType: 'atomic' }) });
const aSchemaThatChangesRows = group('a schema that changes', same(granular), {
  'from granular to atomic': {
    steps: [
      apply('one', 'v1', 'struct: {numeric: 1}'),
      apply('two', 'v1', 'struct: {string: s}', { schema: atomic, conflicts: ['one .struct'] }),
      force('two', 'v1', 'struct: {string: s}', { schema: atomic }),
    ],
    object: 'struct: {string: s}',
    managed: { 'two@v1': ['.struct'] },
  },
  'from granular to atomic, with one who owns no part any more': {
    steps: [
      apply('one', 'v1', 'struct: {numeric: 1}'),
      force('two', 'v1', 'struct: {numeric: 2}'),
      apply('three', 'v1', 'struct: {string: s}', { schema: atomic, conflicts: ['two .struct'] }),
      force('two', 'v1', 'struct: {string: s}', { schema: atomic }),
    ],
    object: 'struct: {string: s}',
    managed: { 'two@v1': ['.struct'] },
  },
  'from atomic to granular': {
    steps: [
      apply('one', 'v1', 'struct: {numeric: 1, string: a}', { schema: atomic }),
      apply('two', 'v1', 'struct: {string: b}', { schema: atomic, conflicts: ['one .struct'] }),
      apply('two', 'v1', 'struct: {string: b}', { conflicts: ['one .struct.string'] }),
      force('two', 'v1', 'struct: {string: b}'),
    ],
    object: 'struct: {numeric: 1, string: b}',
    managed: { 'one@v1': ['.struct', '.struct.numeric'], 'two@v1': ['.struct.string'] },
  },
});

test.each<Row>([
  ...setsRows,
  ...severalAppliersOfAListThatIsAMapRows,
  ...nestedTypesOneApplierRows,
  ...nestedTypesSeveralAppliersRows,
  ...deducedTypesSeveralAppliersRows,
  ...leavesRows,
  ...leavesOfADeducedTypeRows,
  ...deducedTypesRows,
  ...keysWithDefaultsRows,
  ...nestedKeysWithDefaultsRows,
  ...duplicatesRows,
  ...ignoredFieldsRows,
  ...unknownFieldsThatAreKeptRows,
  ...atomicMapsRows,
  ...aSchemaThatChangesRows,
])('%s', (_title, versions, facts) => {
  expect.hasAssertions();
  expectCase(facts, versions);
});
