import { expect, test } from 'vitest';
import { applyMergePatch } from './patch-merge.ts';

/** The first column is the document, the second the patch: appendix A of RFC 7386, where the patch is an object. */
test.each<[unknown, unknown, unknown]>([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [['a', 'b'], { a: 1 }, { a: 1 }],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  [{ a: { b: 1 } }, { a: 'x' }, { a: 'x' }],
  [{ a: 1 }, {}, { a: 1 }],
])('%j with %j is %j', (document, patch, expected) => {
  const before = JSON.stringify(document);
  expect(applyMergePatch(document, patch)).toEqual(expected);
  expect(JSON.stringify(document)).toBe(before);
});

test('__proto__ is a member like any other', () => {
  const patched = applyMergePatch({}, JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'));
  expect(JSON.stringify(patched)).toBe('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

test('a patch that is no object is a bad request', () => {
  expect(() => applyMergePatch({}, [])).toThrow(
    'error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}',
  );
  expect(() => applyMergePatch({}, null)).toThrow(expect.objectContaining({ reason: 'BadRequest' }));
});
