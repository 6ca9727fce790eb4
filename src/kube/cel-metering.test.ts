import { expect, test } from 'vitest';
import { createCel } from './cel.ts';
import { typeBuilder } from './cel-type.ts';
import type { Schema } from './schema.ts';

const cel = createCel();

function costOf(schema: Schema, object: object, rule: string): number {
  const scope = cel.scope();
  const type = typeBuilder(scope, () => ({})).typeOf(schema, true);
  scope.declareVariable('self', type.name);
  const outcome = scope.compile(rule).run({ self: type.convert(object) });
  if ('error' in outcome) throw outcome.error;
  expect(outcome.value).toBe(true);
  return outcome.cost;
}

const string: Schema = { type: 'string' };
const integer: Schema = { type: 'integer' };
const number: Schema = { type: 'number' };
const boolean: Schema = { type: 'boolean' };
const intOrString: Schema = { format: 'int-or-string' };
const formatted = (format: string): Schema => ({ type: 'string', format });
const list = (items: Schema): Schema => ({ type: 'array', items });
const map = (values: Schema): Schema => ({ type: 'object', additionalProperties: values });
const object = (properties: Readonly<Record<string, Schema>>): Schema => ({ type: 'object', properties });
/** val1, val2, … */
const schemas = (...all: readonly Schema[]): Schema => object(Object.fromEntries(all.map((s, i) => [`val${i + 1}`, s])));
const values = (...all: readonly unknown[]): object => Object.fromEntries(all.map((v, i) => [`val${i + 1}`, v]));
/** Upstream's ValsEqualThemselvesAndDataLiteral. */
const equalThemselves = (a: string, b: string, literal: string): string => `${a} == ${b} && ${a} == ${literal} && ${b} == ${literal}`;

interface Case {
  readonly schema: Schema;
  readonly object: object;
  readonly costs: Readonly<Record<string, number>>;
}

const keyed = { listType: 'map', listMapKeys: ['k'] } as const;
const kv = object({ k: string, v: string });

/** The figures of upstream's TestCelCostStability (apiextensions-apiserver pkg/apiserver/schema/cel/celcoststability_test.go). */
const cases: Readonly<Record<string, Case>> = {
  integers: {
    schema: schemas(integer, integer, integer),
    object: values(2147483647, 2147483647, 2147483647),
    costs: {
      [equalThemselves('self.val1', 'self.val2', '2147483647')]: 11,
      'type(self.val1) == int': 4,
      'self.val3 + 1 == 2147483647 + 1': 5,
    },
  },
  comparisons: {
    schema: schemas(integer, number),
    object: values(5, 10),
    costs: { 'double(self.val1) < self.val2': 6, 'self.val1 < int(self.val2)': 6, 'double(5) < 10.0': 1, 'double(self.val1) < 10.0': 4 },
  },
  'unicode strings': {
    schema: schemas(string, string),
    object: values('Rook takes 👑', 'Rook takes 👑'),
    costs: {
      [equalThemselves('self.val1', 'self.val2', "'Rook takes 👑'")]: 14,
      "self.val1.startsWith('Rook')": 4,
      "!self.val1.startsWith('knight')": 5,
      "self.val1.matches('^[^0-9]*$')": 8,
      "!self.val1.matches('^[0-9]*$')": 7,
      'type(self.val1) == string': 4,
      'size(self.val1) == 12': 4,
      "self.val1.charAt(3) == 'k'": 4,
      "self.val1.indexOf('o', 2) == 2": 4,
      "self.val1.replace(' ', 'x', 1) == 'Rookxtakes 👑'": 7,
      "self.val1.split(' ') == ['Rook', 'takes', '👑']": 6,
      "self.val1.substring(4, 10).trim() == 'takes'": 6,
      "self.val1.upperAscii() == 'ROOK TAKES 👑'": 6,
    },
  },
  bytes: {
    schema: schemas(formatted('byte'), formatted('byte')),
    object: values('QUI=', 'QUI='),
    costs: { 'self.val1 == self.val2': 5, "self.val1 == b'AB'": 3, 'type(self.val1) == bytes': 4, 'size(self.val1) == 2': 4 },
  },
  booleans: {
    schema: schemas(boolean, boolean, boolean),
    object: values(true, true, false),
    costs: { [equalThemselves('self.val1', 'self.val2', 'true')]: 11, 'self.val1 != self.val3': 5 },
  },
  durations: {
    schema: schemas(formatted('duration'), formatted('duration')),
    object: values('1h2m3s4ms', '1h2m3s4ms'),
    costs: {
      [equalThemselves('self.val1', 'self.val2', "duration('1h2m3s4ms')")]: 11,
      "self.val1 == duration('1h2m') + duration('3s4ms')": 4,
      'self.val1.getHours() == 1': 4,
      'type(self.val1) == google.protobuf.Duration': 4,
    },
  },
  times: {
    schema: schemas(formatted('date-time'), formatted('date')),
    object: values('2011-08-18T19:03:37.010000000+01:00', '1997-07-16'),
    costs: {
      "self.val1 == timestamp('2011-08-18T00:00:00.000+01:00') + duration('19h3m37s10ms')": 4,
      'self.val2.getDate() == 16': 4,
      'type(self.val1) == google.protobuf.Timestamp': 4,
    },
  },
  enumerations: {
    schema: object({ enumStr: { type: 'string', enum: ['Pending', 'Available'] } }),
    object: { enumStr: 'Pending' },
    costs: { "self.enumStr == 'Pending'": 3, "self.enumStr in ['Pending', 'Available']": 2 },
  },
  conversions: {
    schema: schemas(integer, number, string, formatted('byte'), string, formatted('duration'), string, formatted('date-time')),
    object: values(10, 10, '10', 'MTA=', '3723.004s', '1h2m3s4ms', '2011-08-18T19:03:37.01+01:00', '2011-08-18T19:03:37.01+01:00'),
    costs: {
      'int(self.val2) == self.val1': 6,
      'double(self.val1) == self.val2': 6,
      'bytes(self.val3) == self.val4': 6,
      'string(self.val1) == self.val3': 6,
      'string(self.val4) == self.val3': 6,
      'duration(self.val5) == self.val6': 6,
      'timestamp(self.val7) == self.val8': 6,
    },
  },
  lists: {
    schema: schemas(list(integer), list(integer)),
    object: values([1, 2, 3], [1, 2, 3]),
    costs: {
      [equalThemselves('self.val1', 'self.val2', '[1, 2, 3]')]: 11,
      '1 in self.val1': 5,
      'self.val2[0] in self.val1': 8,
      '!(0 in self.val1)': 6,
      'self.val1 + self.val2 == [1, 2, 3, 1, 2, 3]': 6,
      'self.val1 + [4, 5] == [1, 2, 3, 4, 5]': 4,
    },
  },
  'lists of objects': {
    schema: object({ objs: list(list(kv)) }),
    object: {
      objs: [
        [
          { k: 'a', v: '1' },
          { k: 'b', v: '2' },
        ],
        [
          { k: 'a', v: '1' },
          { k: 'b', v: '2' },
        ],
      ],
    },
    costs: { 'self.objs[0] == self.objs[1]': 7, 'self.objs[0] == [self.objs[0][0], self.objs[0][1]]': 22 },
  },
  'lists that are sets': {
    schema: schemas({ ...list(string), listType: 'set' }, { ...list(string), listType: 'set' }),
    object: values(['a', 'b', 'c'], ['a', 'c', 'b']),
    costs: {
      "self.val1 == ['c', 'b', 'a']": 3,
      'self.val1 == self.val2': 5,
      "!(self.val1 != ['c', 'b', 'a'])": 4,
      "'a' in self.val1": 5,
      "self.val1 + self.val2 == ['a', 'b', 'c']": 6,
      "self.val1 + ['c', 'd'] == ['a', 'b', 'c', 'd']": 4,
    },
  },
  'lists that are maps': {
    schema: object({ objs: list({ ...list(kv), ...keyed }) }),
    object: {
      objs: [
        [
          { k: 'a', v: '1' },
          { k: 'b', v: '2' },
        ],
        [
          { k: 'b', v: '2' },
          { k: 'a', v: '1' },
        ],
        [
          { k: 'b', v: '3' },
          { k: 'a', v: '1' },
        ],
        [{ k: 'c', v: '4' }],
      ],
    },
    costs: {
      'self.objs[0] == self.objs[1]': 7,
      'self.objs[0] + self.objs[2] == self.objs[2]': 11,
      'self.objs[2] + self.objs[0] == self.objs[0]': 11,
      'self.objs[0] == [self.objs[0][1], self.objs[0][0]]': 22,
      'self.objs[2] + [self.objs[0][0], self.objs[0][1]] == self.objs[0]': 26,
      'size(self.objs[0] + [self.objs[3][0]]) == 3': 20,
      'self.objs[0] != self.objs[2]': 7,
    },
  },
  maps: {
    schema: schemas(map(string), map(string)),
    object: values({ k1: 'a', k2: 'b' }, { k2: 'b', k1: 'a' }),
    costs: {
      'self.val1 == self.val2': 5,
      "'k1' in self.val1": 3,
      "!('k3' in self.val1)": 4,
      "self.val1 == {'k1': 'a', 'k2': 'b'}": 3,
    },
  },
  'fields of objects': {
    schema: object({ a: object({ b: integer, c: integer }), a1: object({ b1: object({ c1: integer }), d2: object({ e2: integer }) }) }),
    object: { a: { b: 1 }, a1: { b1: { c1: 4 } } },
    costs: {
      'has(self.a.b)': 2,
      'has(self.a1.b1.c1)': 3,
      '!(has(self.a1.d2) && has(self.a1.d2.e2))': 3,
      '!has(self.a1.d2)': 3,
    },
  },
  'members of maps': {
    schema: object({ val: map(integer) }),
    object: { val: { b: 1, d: 2 } },
    costs: {
      "!('a' in self.val)": 4,
      '!has(self.val.a)': 3,
      'has(self.val.b)': 2,
      'self.val.all(k, self.val[k] > 0)': 17,
      'self.val.exists_one(k, self.val[k] == 2)': 14,
      '!self.val.exists_one(k, self.val[k] > 0)': 17,
      'size(self.val.filter(k, self.val[k] > 1)) == 1': 26,
    },
  },
  'items of lists that are maps': {
    schema: object({ listMap: { ...list(object({ k: string, v: string, v2: string })), ...keyed } }),
    object: {
      listMap: [
        { k: 'a1', v: 'b1' },
        { k: 'a2', v: 'b2' },
        { k: 'a3', v: 'b3', v2: 'z' },
      ],
    },
    costs: {
      'has(self.listMap[0].v)': 3,
      "self.listMap.all(m, m.k.startsWith('a'))": 21,
      "self.listMap.all(m, !has(m.v2) || m.v2 == 'z')": 21,
      "self.listMap.exists(m, m.k.endsWith('1'))": 13,
      "self.listMap.exists_one(m, m.k == 'a3')": 15,
      "!self.listMap.all(m, m.k.endsWith('1'))": 18,
      "!self.listMap.exists(m, m.v == 'x')": 25,
      "!self.listMap.exists_one(m, m.k.startsWith('a'))": 20,
      "size(self.listMap.filter(m, m.k == 'a1')) == 1": 27,
      "self.listMap.exists(m, m.k == 'a1' && m.v == 'b1')": 16,
      "self.listMap.map(m, m.v).exists(v, v == 'b1')": 55,
      "self.listMap.exists(m, has(m.v2) && m.v2 == 'z')": 21,
      "!self.listMap.all(m, has(m.v2) && m.v2 != 'z')": 10,
      "self.listMap.exists_one(m, has(m.v2) && m.v2 == 'z')": 12,
      "self.listMap.filter(m, has(m.v2) && m.v2 == 'z').size() == 1": 24,
      "self.listMap.map(m, has(m.v2) && m.v2 == 'z', m.v2).size() == 1": 25,
      "self.listMap.filter(m, has(m.v2) && m.v2 == 'z').map(m, m.v2).size() == 1": 39,
      "self.listMap.exists(m, m.v2 == 'z')": 24,
      "!self.listMap.all(m, m.v2 != 'z')": 22,
    },
  },
  'items of lists': {
    schema: object({ array: list(integer), set: list(integer) }),
    object: { array: [1, 1, 2, 2, 3, 3, 4, 5], set: [1, 2, 3, 4, 5] },
    costs: {
      '2 in self.array': 10,
      'self.array.all(e, e > 0)': 43,
      'self.array.exists(e, e > 2)': 36,
      'self.array.exists_one(e, e > 4)': 22,
      '!self.array.all(e, e < 2)': 21,
      '!self.array.exists(e, e < 0)': 52,
      '!self.array.exists_one(e, e == 2)': 25,
      'size(self.array.filter(e, e%2 == 0)) == 3': 68,
      'self.array.map(e, e * 20).filter(e, e > 50).exists(e, e == 60)': 194,
      'self.set.map(e, e * 20).filter(e, e > 50).exists_one(e, e == 60)': 133,
    },
  },
  'types and names': {
    schema: object({ spec: object({ field1: string }) }),
    object: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'foo', generateName: 'pickItForMe' }, spec: { field1: 'a' } },
    costs: {
      "self.kind == 'Pod'": 3,
      "self.metadata.name == 'foo'": 4,
      "self.metadata.generateName == 'pickItForMe'": 5,
      "self.spec.field1 == 'a'": 4,
    },
  },
  'a text in an int-or-string': {
    schema: object({ something: intOrString }),
    object: { something: '25%' },
    costs: {
      "type(self.something) == int ? self.something == 1 : self.something == '25%'": 7,
      "type(self.something) == string && self.something == '25%'": 7,
      'self.something != 1': 3,
      "self.something == 1 || self.something == '25%'": 6,
      "self.something == '25%' || self.something == 1": 3,
      "self.something != ['anything']": 3,
    },
  },
  percentages: {
    schema: object({ min: intOrString, current: integer, available: integer }),
    object: { min: '50%', current: 5, available: 10 },
    costs: {
      "type(self.min) == string && self.min.matches(r'(\\d+(\\.\\d+)?%)')": 10,
      "type(self.min) == int ? self.current <= self.min : double(self.current) / double(self.available) >= double(self.min.replace('%', '')) / 100.0": 17,
    },
  },
  objects: {
    schema: object({ objs: list(object({ f1: string, f2: string })), none: { ...string, nullable: true } }),
    object: {
      objs: [
        { f1: 'a', f2: 'b' },
        { f1: 'a', f2: 'b' },
      ],
      none: null,
    },
    costs: { 'self.objs[0] == self.objs[1]': 7, '!has(self.none)': 2 },
  },
  'types of objects': {
    schema: object({ nestedInMap: map(object({ inMapField: integer })) }),
    object: { nestedInMap: { k1: { inMapField: 1 }, k2: { inMapField: 2 } } },
    costs: { 'type(self) == type(self)': 5, "type(self.nestedInMap['k1']) == type(self.nestedInMap['k2'])": 9 },
  },
  'containers in containers': {
    schema: object({ mapOfMap: map(map(string)), mapOfListMap: map({ ...list(kv), ...keyed }), mapOfList: map(list(string)) }),
    object: { mapOfMap: { x: { y: 'b' } }, mapOfListMap: { o: [{ k: '1', v: 'd' }] }, mapOfList: { l: ['e'] } },
    costs: {
      "self.mapOfMap['x']['y'] == 'b'": 5,
      "self.mapOfListMap['o'].exists(e, e.k == '1' && e.v == 'd')": 14,
      "self.mapOfList['l'][0] == 'e'": 5,
    },
  },
};

const figures = Object.entries(cases).flatMap(([title, c]) =>
  Object.entries(c.costs).map(([rule, cost]): [string, string, number, Case] => [title, rule, cost, c]),
);

test.each(figures)('%s: %s costs %i', (_title, rule, cost, c) => {
  expect(costOf(c.schema, c.object, rule)).toBe(cost);
});

/** The figures of upstream's tests of its functions (apiserver/pkg/cel/library/cost_test.go), but that lists of constants cost nothing. */
test.each<[string, number]>([
  ['[1, 2, 3, 4, 5].sum() == 15', 6],
  ["'01234567890123456789012345678901234567890123456789'.indexOf('123') == 1", 6],
  ["url('https:://kubernetes.io/').getPort() == ''", 4],
  ["ip('2001:db8:3333:4444:5555:6666:7777:8888').isGlobalUnicast()", 5],
  ["ip.isCanonical('2001:db8::abcd')", 3],
  ["cidr('192.168.0.0/16').containsCIDR(cidr('192.168.0.0/30'))", 7],
  ["cidr('2001:db8::/32').containsCIDR('2001:db8::/126')", 7],
  ["cidr('192.168.0.0/16').containsIP(ip('192.168.0.1'))", 5],
  ["cidr('2001:db8::/32').containsIP('2001:db8:3333:4444:5555:6666:7777:8888')", 7],
  ["'abc 123 def 123'.replace('', 'x').size() > 0", 5],
  ["jsonpatch.escapeKey('abc/def~ abc/def~') != ''", 2],
  ['quantity("50k").add(20).sub(quantity("100k")).sub(-50000).asInteger() > 0', 7],
  ['!format.named("dns1123Subdomain").value().validate("my-name").hasValue()', 19],
  ['!format.named("dns1123Label").value().validate("my-name").hasValue()', 12],
  ['format.named("dns1123Label").value() == format.named("dns1123Label").value()', 5],
  ['sets.contains([1, 2, 3, 4], [2, 3])', 9],
  ['sets.equivalent([1, 2, 3], [3, 2, 1])', 19],
  ['semver("1.0.0").isLessThan(semver("1.1.0"))', 3],
  ["{'a': 1, 'b': 2}.all(k, v, v > 0)", 11],
  ["{'a': 1, 'b': 2}.exists(k, v, v > 0)", 10],
  ["{'a': 1, 'b': 2}.transformMap(k, v, v + 1).size() == 2", 13],
  ["{'a': 1, 'b': 2}.transformMapEntry(k, v, v < 5, {k: v + 1}).size() == 2", 77],
  ['[1, 2].transformList(i, v, v + 1) == [1, 2]', 30],
])('%s costs %i', (expression, cost) => {
  expect(cel.scope().compile(expression).run({})).toMatchObject({ cost });
});
