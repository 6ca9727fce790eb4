import { expect, test } from 'vitest';
import { createCel } from './cel.ts';
import { estimateCost } from './cel-estimate.ts';
import { createSizes } from './cel-sizes.ts';
import { typeBuilder } from './cel-type.ts';
import type { Schema } from './schema.ts';

const cel = createCel();

function costOf(schema: Schema, rule: string): number {
  const scope = cel.scope();
  const type = typeBuilder(scope, () => ({})).typeOf(schema);
  scope.declareVariable('self', type.name);
  scope.declareVariable('oldSelf', type.name);
  const self = createSizes().of(schema);
  if (self === undefined) throw new Error('the schema has no size');
  return estimateCost(scope.compile(rule).root, self).max;
}

/** Makes a schema, with a limit for everything in it that may have one. */
type Make = (max: number | undefined) => Schema;

const intOrString: Schema = { format: 'int-or-string' };
const primitive = (name: string): Schema => {
  if (name === 'int-or-string') return intOrString;
  return ['duration', 'date', 'date-time', 'byte'].includes(name) ? { type: 'string', format: name } : { type: name as 'string' };
};
const array =
  (items: Schema): Make =>
  (maxItems) => ({ type: 'array', items, ...(maxItems === undefined ? {} : { validations: { maxItems } }) });
const map =
  (values: Schema): Make =>
  (maxProperties) => ({
    type: 'object',
    additionalProperties: values,
    ...(maxProperties === undefined ? {} : { validations: { maxProperties } }),
  });
const text: Make = (maxLength) => ({ type: 'string', ...(maxLength === undefined ? {} : { validations: { maxLength } }) });
const bytes: Make = (max) => ({ ...text(max), format: 'byte' });
const texts: Make = (max) => array(text(max))(max);
const required: Schema = {
  type: 'object',
  properties: { required: { type: 'string' }, other: { type: 'string' } },
  required: ['required'],
};
const list = (name: string): Make => array(primitive(name));
const entries = (name: string): Make => map(primitive(name));

/** The figures of upstream's TestCostEstimation (apiextensions-apiserver pkg/apiserver/schema/cel/compilation_test.go): without limits, and with one. */
test.each<[string, Make, string, number, number, number]>([
  ['numbers with all', list('number'), 'self.all(x, true)', 4718591, 10, 32],
  ['texts with all', list('string'), 'self.all(x, true)', 3145727, 20, 62],
  ['booleans with all', list('boolean'), 'self.all(x, true)', 1887437, 5, 17],
  ['lists of numbers with all', array(list('number')(undefined)), 'self.all(x, true)', 3145727, 100, 302],
  ['objects with all', array(required), 'self.all(x, true)', 555128, 50, 152],
  ['a map of numbers with all', entries('number'), 'self.all(x, true)', 1348169, 10, 32],
  ['a map of texts with all', entries('string'), 'self.all(x, true)', 1179647, 3, 11],
  ['a map of booleans with all', entries('boolean'), 'self.all(x, true)', 943718, 100, 302],
  ['contains', text, "self.contains('test')", 314574, 10, 5],
  ['startsWith', text, "self.startsWith('test')", 2, 15, 2],
  ['endsWith', text, "self.endsWith('test')", 2, 30, 2],
  ['joined texts', text, 'size(self + "hello") > size("hello")', 314578, 4, 7],
  ['an item that is a number', list('number'), 'self[1] == 0.0', 2, 5000, 2],
  ['items that are texts', list('string'), 'self[1] == self[1]', 314577, 8, 314577],
  ['two loops', list('number'), 'self.all(x, self.all(y, true))', 7421701914624, 10, 352],
  ['three loops', list('number'), 'self.all(x, self.all(y, self.all(z, true)))', 1.2e19, 10, 3552],
  ['a pattern', text, 'self.matches("x")', 314574, 50, 22],
  ['a pattern on nothing', text, '"".matches("(((((((((())))))))))[0-9]")', 7, 10, 7],
  ['an empty pattern', text, 'self.matches("")', 1, 100, 1],
  ['no items', list('number'), 'self[3] == 0.0', 2, 0, 2],
  ['no members', entries('number'), 'self["x"] == 0.0', 2, 0, 2],
  ['no characters', text, 'self == "x"', 2, 0, 1],
  ['no bytes', bytes, 'self == b"x"', 2, 0, 1],
  ['a limit beyond what fits', list('number'), 'self.all(x, x == 0.0)', 6291454, 6291456, 25165826],
  ['objects in maps in a list', array(map(required)(undefined)), 'self.all(x, x["y"].required == "z")', 7340027, 10, 72],
  ['int-or-strings with all', list('int-or-string'), 'self.all(x, true)', 4718591, 10, 32],
  ['an item that is an int-or-string', list('int-or-string'), 'self[0] == 5', 3, 10, 3],
  ['an item that is a boolean', list('boolean'), 'self[0] == false', 2, 25, 2],
  ['an item of an item', array(list('number')(undefined)), 'self[0][0] == -1.0', 3, 51, 3],
  ['maps in a list', array(entries('number')(undefined)), 'self.all(x, x.y == 25.2)', 6291452, 12, 74],
  ['an item of a map in a list', array(entries('number')(undefined)), 'self[0].x > 2.0', 4, 3000, 4],
  ['durations with all', list('duration'), 'self.all(x, true)', 2359295, 5, 17],
  ['an item that is a duration', list('duration'), 'self[0].getHours() == 2', 4, 525, 4],
  ['dates with all', list('date'), 'self.all(x, true)', 725936, 15, 47],
  ['an item that is a date', list('date'), 'self[2].getDayOfMonth() == 13', 4, 42, 4],
  ['times with all', list('date-time'), 'self.all(x, true)', 428963, 25, 77],
  ['an item that is a time', list('date-time'), 'self[2].getMinutes() == 45', 4, 99, 4],
  ['a map of int-or-strings with all', entries('int-or-string'), 'self.all(x, true)', 1348169, 15, 47],
  ['a map of maps with all', map(entries('number')(undefined)), 'self.all(x, true)', 1179647, 10, 32],
  ['a map of lists with all', map(list('number')(undefined)), 'self.all(x, true)', 1179647, 25, 77],
  ['a map of durations with all', entries('duration'), 'self.all(x, true)', 1048577, 5, 17],
  ['a map of dates with all', entries('date'), 'self.all(x, true)', 524288, 10, 32],
  ['a map of times with all', entries('date-time'), 'self.all(x, true)', 349526, 25, 77],
  ['find', text, "self.find('[0-9]+') == ''", 629147, 10, 11],
  ['join', texts, "self.join(' ') == 'aa bb'", 329853068905, 10, 43],
  ['isSorted', texts, 'self.isSorted() == true', 329854432052, 10, 52],
  ['lowerAscii', text, "self.lowerAscii() == 'lower!'", 314575, 10, 6],
  ['sizes', entries('integer'), 'oldSelf.size() == self.size()', 5, 10, 5],
  ['equal times', entries('date-time'), 'self["a"] == self["b"]', 8, 7, 8],
  ['equal durations', entries('duration'), 'self["c"] == self["d"]', 8, 42, 8],
  ['split', (max) => ({ type: 'object', properties: { str: text(max), by: text(max) } }), 'self.str.split(self.by) == []', 629160, 10, 22],
  [
    'replace',
    (max) => ({ type: 'object', properties: { str: text(max), before: text(2), after: text(4) } }),
    "self.str.replace(self.before, self.after) == 'does not matter'",
    629154,
    4,
    12,
  ],
  ['an enumeration', (max) => ({ ...text(max), enum: ['A', 'B', 'C', 'LongValue'] }), "self.contains('A')", 2, 1000, 401],
  ['members by their keys', (max) => map(text(undefined))(max), 'self.all(x, x.contains(self[x]))', 2752507, 10, 72],
])('%s', (_title, make, rule, unlimited, limit, limited) => {
  const cost = costOf(make(undefined), rule);
  if (unlimited > Number.MAX_SAFE_INTEGER) expect(cost).toBeGreaterThan(1e18);
  else expect(cost).toBe(unlimited);
  expect(costOf(make(limit), rule)).toBe(limited);
});

/** The figures of upstream's tests of its functions (apiserver/pkg/cel/library/cost_test.go). */
test.each<[string, number, number]>([
  ['[1, 2, 3, 4, 5].sum()', 15, 15],
  ['[uint(1), uint(2), uint(3), uint(4), uint(5)].sum()', 20, 20],
  ['[1.0, 2.0, 3.0, 4.0, 5.0].isSorted()', 15, 15],
  ["[duration('1s'), duration('2s'), duration('3s'), duration('4s'), duration('5s')].max()", 20, 20],
  ['[1, 2, 3, 4, 5].indexOf(3)', 15, 15],
  ["'01234567890123456789012345678901234567890123456789'.lastIndexOf('123')", 5, 5],
  ["url('https:://kubernetes.io/').getPort()", 4, 4],
  ["url('https:://kubernetes.io/') == url('https:://kubernetes.io/')", 7, 9],
  ["url('https:://kubernetes.io/') == url('http://x.b')", 5, 5],
  ["ip('192.168.0.1')", 2, 2],
  ["ip('2001:db8:3333:4444:5555:6666:7777:8888').isGlobalUnicast()", 5, 5],
  ["ip('192.168.0.1') == ip('192.168.0.1')", 5, 5],
  ["ip.isCanonical('2001:db8:3333:4444:5555:6666:7777:8888')", 8, 8],
  ["cidr('192.168.0.0/16').ip()", 3, 3],
  ["cidr('192.168.0.0/16').containsCIDR(cidr('192.0.0.0/30'))", 7, 11],
  ["cidr('192.168.0.0/16').containsCIDR('192.168.0.0/16')", 7, 11],
  ["cidr('192.168.0.0/16').containsIP(ip('192.169.0.1'))", 5, 8],
  ["cidr('2001:db8::/32').containsIP('2001:db8:3333:4444:5555:6666:7777:8888')", 7, 10],
  ["'ABCDEFGHIJ abcdefghij'.lowerAscii()", 3, 3],
  ["'ABCDEFGHIJ abcdefghij'.lowerAscii() == 'abcdefghij ABCDEFGHIJ'.lowerAscii()", 7, 9],
  ["strings.quote('ABCDEFGHIJ abcdefghij')", 3, 3],
  ["strings.quote('ABCDEFGHIJ abcdefghij') == strings.quote('ABCDEFGHIJ abcdefghij')", 7, 11],
  ["'abc 123 def 123'.replace('', 'x')", 3, 3],
  ["'abc 123 def 123'.replace('123', '456', 1)", 3, 3],
  ["'abc 123 def 123'.split(' ', 1)", 3, 3],
  ["'abc 123 def 123'.substring(5, 8)", 2, 2],
  ["'  abc 123 def 123  '.trim()", 2, 2],
  ["'abc 123 def 123'.findAll('123', 1)", 2, 2],
  ["jsonpatch.escapeKey('abc/def~ abc/def~')", 2, 2],
  ['quantity("12Mi")', 1, 1],
  ['quantity("200M") == quantity("0.2G") && quantity("0.2G") == quantity("200M")', 3, 6],
  ['quantity("200M").compareTo(quantity("0.2G")) > 0', 4, 4],
  ['quantity("50k").add(20).sub(quantity("100k")).sub(-50000).asInteger() > 0', 7, 7],
  ['format.named("dns1123Subdomain").value().validate("my-name")', 34, 34],
  ['format.named("dns1123Label").value() == format.named("dns1123Label").value()', 5, 11],
  ['sets.contains([], [])', 21, 21],
  ['sets.contains([1, 2, 3, 4], [2, 3])', 29, 29],
  ['sets.contains([[1], [2, 3]], [[2, 3.0]])', 53, 53],
  ['!sets.contains([1], ["1", 1])', 24, 24],
  ['sets.equivalent([1, 2, 3], [3u, 2.0, 1])', 39, 39],
  ['sets.intersects([[1], [2, 3]], [[1, 2], [2, 3.0]])', 65, 65],
  ['semver("1234.56789012345.67890123456789")', 4, 4],
  ['semver("1.0.0").isLessThan(semver("1.1.0"))', 3, 3],
  ["{'a': 1, 'b': 2}.all(k, v, v > 0)", 37, 41],
  ["{'a': 1, 'b': 2}.exists(k, v, v > 0)", 39, 43],
  ["{'a': 1, 'b': 2}.existsOne(k, v, v > 0)", 38, 40],
  ["{'a': 1, 'b': 2}.transformMap(k, v, v + 1)", 71, 71],
  ["{'a': 1, 'b': 2}.transformMap(k, v, v < 5, v + 1)", 67, 75],
  ["{'a': 1, 'b': 2}.transformMapEntry(k, v, {k: v + 1})", 131, 131],
  ["{'a': 1, 'b': 2}.transformMapEntry(k, v, v < 5, {k: v + 1})", 67, 135],
  ['[1, 2].all(i, v, v > 0)', 17, 21],
  ['[1, 2].transformList(i, v, v + 1)', 49, 49],
  ['[1, 2].transformList(i, v, v < 5, v + 1)', 27, 53],
])('%s is judged to cost %i to %i', (expression, min, max) => {
  const root = cel.scope().compile(expression).root;
  expect(estimateCost(root, { kind: 'object', max: 0, minBytes: 2 })).toEqual({ min, max });
});
