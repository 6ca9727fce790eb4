import { describe, expect, test } from 'vitest';
import { createCel } from './cel.ts';
import { celToJson, rewriteLiterals } from './cel-literals.ts';

const scope = createCel().scope();
scope.declareVariable('object', 'dyn');
const json = (expression: string, object: unknown = {}): unknown =>
  celToJson(scope.compile(rewriteLiterals(expression)).evaluate({ object }));

describe('message literals', () => {
  test.each<[string, unknown]>([
    ['Object{}', {}],
    ['Object{spec: Object.spec{replicas: 1 + 1}}', { spec: { replicas: 2 } }],
    ['Object { metadata : Object.metadata { labels : {"a": "b", "c-d": "e"} } }', { metadata: { labels: { a: 'b', 'c-d': 'e' } } }],
    [
      'Object{spec: Object.spec{list: [Object.spec.list{name: "x", ok: true}, Object.spec.list{name: "y"}]}}',
      { spec: { list: [{ name: 'x', ok: true }, { name: 'y' }] } },
    ],
    [
      '[JSONPatch{op: "add", path: "/a/" + jsonpatch.escapeKey("x/y~"), value: {"k": [1]}}]',
      [{ op: 'add', path: '/a/x~1y~0', value: { k: [1] } }],
    ],
    ['Object{a: "Object{b: 1}", c: \'it\', d: true ? 1 : 2} // Object{x: 1}', { a: 'Object{b: 1}', c: 'it', d: 1 }],
    ['Object{?a: optional.none(), ?b: optional.of(1)}', { b: 1 }],
    ['has(object.a) ? Object{a: object.a} : Object{b: object.b}', { b: 2 }],
  ])('%s', (expression, expected) => {
    expect(json(expression, { b: 2n })).toEqual(expected);
  });

  test('other expressions are left as they are', () => {
    for (const text of ['object.Object.x', '{"a": object.b, "c": [1, 2]}', 'x.map(Object, Object.y)', '"a, b: c"', "r'\\d{2}'"])
      expect(rewriteLiterals(text)).toBe(text);
  });
});

test('values become JSON', () => {
  expect(
    celToJson(
      scope.compile('[1, 1.5, "a", true, null, b"ab", timestamp("2020-01-01T00:00:00Z"), duration("90s"), quantity("1000m")]').evaluate({}),
    ),
  ).toEqual([1, 1.5, 'a', true, null, 'YWI=', '2020-01-01T00:00:00Z', '90s', '1']);
});
