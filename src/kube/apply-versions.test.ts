/** structured-merge-diff's merge tests in which the versions of a kind differ, or one is no longer served. */
import { describe, expect, test } from 'vitest';
import { type ApplyCase, apply, expectCase, update, type Versions } from './apply-testing.ts';
import { isObject, type JsonObject } from './json-value.ts';
import type { Schema } from './schema.ts';

const text: Schema = { type: 'string' };
const struct = (properties: Record<string, Schema>): Schema => ({ type: 'object', properties });

function rename(value: unknown, name: (key: string) => string): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [name(k), rename(v, name)]));
}

/** Fields with the version at the end of their names. */
const renaming: Versions = {
  schema: (v) => struct({ struct: struct({ name: text, [`scalar_${v}`]: text, [`complex_${v}`]: struct({ name: text }) }), version: text }),
  convert: (object, from, to) => rename(object, (key) => (key.endsWith(from) ? key.slice(0, -from.length) + to : key)) as JsonObject,
};

const versions = ['v1', 'v2', 'v3'];
const triples = versions.flatMap((a) => versions.flatMap((b) => versions.map((c): [string, string, string] => [a, b, c])));

const renamed = (v1: string, v2: string, v3: string): Readonly<Record<string, ApplyCase>> => ({
  'a scalar with one owner': {
    steps: [apply('one', v1, `struct: {name: a, scalar_${v1}: a}`), apply('one', v2, 'struct: {name: a}')],
    object: 'struct: {name: a}',
    managed: { [`one@${v2}`]: ['.struct.name'] },
  },
  'a scalar shared with an applier': {
    steps: [
      apply('one', v1, `struct: {name: a, scalar_${v1}: a}`),
      apply('two', v2, `struct: {scalar_${v2}: a}`),
      apply('one', v3, 'struct: {name: a}'),
    ],
    object: `struct: {name: a, scalar_${v3}: a}`,
    managed: { [`one@${v3}`]: ['.struct.name'], [`two@${v2}`]: [`.struct.scalar_${v2}`] },
  },
  'a scalar shared with an updater': {
    steps: [
      update('updater', v1, `struct: {name: a, scalar_${v1}: a}`),
      apply('applier', v2, `struct: {name: a, scalar_${v2}: a}`),
      apply('applier', v3, 'struct: {name: a}'),
    ],
    object: `struct: {name: a, scalar_${v3}: a}`,
    managed: { [`updater@${v1}`]: ['.struct', '.struct.name', `.struct.scalar_${v1}`], [`applier@${v3}`]: ['.struct.name'] },
  },
  'a scalar that an updater takes': {
    steps: [apply('applier', v1, `struct: {name: a, scalar_${v1}: a}`), update('updater', v2, `struct: {name: a, scalar_${v2}: b}`)],
    object: `struct: {name: a, scalar_${v3}: b}`,
    managed: { [`updater@${v2}`]: [`.struct.scalar_${v2}`], [`applier@${v1}`]: ['.struct.name'] },
  },
  'a struct with one owner': {
    steps: [apply('one', v1, `struct: {name: a, complex_${v1}: {name: b}}`), apply('one', v2, 'struct: {name: a}')],
    object: 'struct: {name: a}',
    managed: { [`one@${v2}`]: ['.struct.name'] },
  },
  'a struct shared with an applier': {
    steps: [
      apply('one', v1, `struct: {name: a, complex_${v1}: {name: b}}`),
      apply('two', v2, `struct: {complex_${v2}: {name: b}}`),
      apply('one', v3, 'struct: {name: a}'),
    ],
    object: `struct: {name: a, complex_${v3}: {name: b}}`,
    managed: { [`one@${v3}`]: ['.struct.name'], [`two@${v2}`]: [`.struct.complex_${v2}.name`] },
  },
});

describe.each(triples)('fields renamed between versions: written in %s, %s, %s', (v1, v2, v3) => {
  test.each(Object.entries(renamed(v1, v2, v3)))('%s', (_title, c) => {
    expect.hasAssertions();
    expectCase({ ...c, objectIn: v3 }, renaming);
  });
});

/** Keys of one letter, repeated as often as the version says. */
const recursive: Schema = { type: 'object', additionalProperties: { ref: 'recursive' } };
const repeating = (schema: Schema): Versions => ({
  schema: () => schema,
  resolve: () => recursive,
  convert: (object, _from, to) => ({
    ...object,
    ...(isObject(object['map']) ? { map: rename(object['map'], (key) => key.charAt(0).repeat(Number(to.slice(1)))) } : {}),
  }),
});
describe('keys of maps renamed between versions', () => {
  test.each<[string, ApplyCase]>([
    [
      'one of several lets go of keys of a deduced type',
      {
        steps: [
          apply('one', 'v1', 'map: {a: {b: }, c: {d: }}'),
          apply('two', 'v2', 'map: {aa: , cc: {dd: }}'),
          update('controller', 'v3', 'map: {aaa: {bbb: {ccc: {ddd: }}}, ccc: {ddd: {eee: {fff: }}}}'),
          apply('one', 'v4', 'map:'),
        ],
        object: 'map: {aaaa: , cccc: {dddd: {eeee: {ffff: }}}}',
        objectIn: 'v4',
        managed: {
          'one@v4': ['.map'],
          'two@v2': ['.map', '.map.aa', '.map.cc', '.map.cc.dd'],
          'controller@v3': ['.map.ccc.ddd.eee', '.map.ccc.ddd.eee.fff'],
        },
      },
    ],
    [
      'an applier removes what a controller put below its own',
      {
        steps: [
          apply('apply', 'v3', 'map: {aaa: {bbb: }}'),
          update('controller', 'v1', 'map: {a: {b: {c: }}}'),
          apply('apply', 'v2', 'map: {aa: {bb: }, cc: {dd: }}'),
          apply('apply', 'v3', 'map: {aaa: , ccc: }'),
        ],
        object: 'map: {aaa: , ccc: }',
        objectIn: 'v3',
        managed: { 'apply@v3': ['.map.aaa', '.map.ccc'] },
      },
    ],
    [
      'what an updater made stays',
      {
        steps: [
          update('updater', 'v1', 'map: {a: {b: {c: }}}'),
          apply('apply', 'v2', 'map: {aa: {bb: }, cc: {dd: }}'),
          apply('apply', 'v3', 'map: {aaa: , ccc: }'),
        ],
        object: 'map: {aaa: {bbb: {ccc: }}, ccc: }',
        objectIn: 'v3',
        managed: { 'updater@v1': ['.map', '.map.a', '.map.a.b', '.map.a.b.c'], 'apply@v3': ['.map.aaa', '.map.ccc'] },
      },
    ],
  ])('%s', (title, c) => {
    expect.hasAssertions();
    expectCase(c, repeating(title.endsWith('of a deduced type') ? {} : struct({ map: { ref: 'recursive' } })));
  });
});

test('a conversion that needs a field of another manager is not made without it', () => {
  expect.hasAssertions();
  const names: Readonly<Record<string, string>> = { v1: 'relying', v2: 'required' };
  const reliant: Versions = {
    schema: (v) => struct({ [names[v] ?? '']: text, common: text }),
    convert: (object, from, to) => {
      if (from === to) return object;
      if (to === 'v1' && !Object.hasOwn(object, 'required')) throw new Error('the required field is missing');
      return rename(object, (key) => (key === names[from] ? (names[to] ?? '') : key)) as JsonObject;
    },
  };
  expectCase(
    {
      steps: [apply('second', 'v2', 'required: a'), apply('first', 'v1', 'common: b'), apply('second', 'v2', 'required: b')],
      object: '{required: b, common: b}',
      objectIn: 'v2',
      managed: { 'second@v2': ['.required'], 'first@v1': ['.common'] },
    },
    reliant,
  );
});

describe('a version that is no longer served', () => {
  test('its managers are forgotten', () => {
    expect.hasAssertions();
    let served = ['v1', 'v2'];
    const versionsOf: Versions = { schema: () => ({}), served: (v) => served.includes(v) };
    const steps = [update('first', 'v1', 'v1: 0'), update('second', 'v2', '{v1: 0, v2: 0}')];
    expectCase({ steps, managed: { 'first@v1': ['.v1'], 'second@v2': ['.v2'] } }, versionsOf);
    served = ['v2', 'v3'];
    expectCase(
      { steps: [...steps, update('third', 'v3', '{v1: 0, v2: 0, v3: 0}')], managed: { 'second@v2': ['.v2'], 'third@v3': ['.v3'] } },
      versionsOf,
    );
  });

  test('what was applied in it stays', () => {
    expect.hasAssertions();
    const schema = struct({ list: { type: 'array', listType: 'set', items: text } });
    expectCase(
      { steps: [apply('apply', 'v1', 'list: [a, b, c, d]'), apply('apply', 'v2', 'list: [a]')], object: 'list: [a, b, c, d]' },
      { schema: () => schema, served: (v) => v === 'v2' },
    );
  });
});
