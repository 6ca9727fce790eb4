import { describe, expect, test } from 'vitest';
import { applyJsonPatch } from './patch-json.ts';

const at = (path: string, value?: unknown): unknown[] => [{ op: 'add', path, value }];

describe('a JSON patch', () => {
  test.each<[string, unknown, unknown[], unknown]>([
    ['adds a member', { a: 1 }, at('/b', 2), { a: 1, b: 2 }],
    ['adds over a member', { a: 1 }, at('/a', 2), { a: 2 }],
    ['adds null where no value is given', {}, [{ op: 'add', path: '/a' }], { a: null }],
    ['inserts into a list', { a: [1, 2] }, at('/a/1', 9), { a: [1, 9, 2] }],
    ['appends to a list', { a: [1] }, at('/a/-', 2), { a: [1, 2] }],
    ['appends at the length', { a: [1] }, at('/a/1', 2), { a: [1, 2] }],
    ['counts negative indexes from the end', { a: [1, 2] }, [{ op: 'replace', path: '/a/-1', value: 9 }], { a: [1, 9] }],
    ['removes a member', { a: 1, b: 2 }, [{ op: 'remove', path: '/a' }], { b: 2 }],
    ['removes an element', { a: [1, 2, 3] }, [{ op: 'remove', path: '/a/1' }], { a: [1, 3] }],
    ['replaces a member', { a: { b: 1 } }, [{ op: 'replace', path: '/a/b', value: [1] }], { a: { b: [1] } }],
    ['replaces everything', { a: 1 }, [{ op: 'replace', path: '', value: { b: 1 } }], { b: 1 }],
    ['moves', { a: { x: 1 }, b: {} }, [{ op: 'move', from: '/a/x', path: '/b/y' }], { a: {}, b: { y: 1 } }],
    ['copies', { a: { x: [1] } }, [{ op: 'copy', from: '/a', path: '/b' }, ...at('/b/x/-', 2)], { a: { x: [1] }, b: { x: [1, 2] } }],
    ['tests', { a: { x: 1 } }, [{ op: 'test', path: '/a', value: { x: 1 } }], { a: { x: 1 } }],
    ['tests a missing member as null', {}, [{ op: 'test', path: '/a', value: null }], {}],
    ['reads ~1 and ~0', { 'a/b': { '~': 1 } }, [{ op: 'replace', path: '/a~1b/~0', value: 2 }], { 'a/b': { '~': 2 } }],
    ['reads ~01 as ~1', { '~1': 1 }, [{ op: 'remove', path: '/~01' }], {}],
    ['takes the empty key', { '': 1 }, [{ op: 'replace', path: '/', value: 2 }], { '': 2 }],
  ])('%s', (_title, document, patch, expected) => {
    const before = JSON.stringify(document);
    expect(applyJsonPatch(document, patch)).toEqual(expected);
    expect(JSON.stringify(document)).toBe(before);
  });

  test.each<[string, unknown, unknown[]]>([
    ['a missing parent', {}, at('/a/b', 1)],
    ['a missing member to remove', {}, [{ op: 'remove', path: '/a' }]],
    ['a missing member to replace', {}, [{ op: 'replace', path: '/a', value: 1 }]],
    ['an index past the end', { a: [] }, at('/a/1', 1)],
    ['an index that is no number', { a: [1] }, [{ op: 'remove', path: '/a/x' }]],
    ['an index too negative', { a: [1] }, [{ op: 'remove', path: '/a/-2' }]],
    ['a failed test', { a: 1 }, [{ op: 'test', path: '/a', value: 2 }]],
    ['an unknown operation', {}, [{ op: 'merge', path: '/a' }]],
    ['no path', {}, [{ op: 'remove' }]],
    ['a path through a scalar', { a: 1 }, at('/a/b', 1)],
    ['an inherited member', {}, [{ op: 'copy', from: '/constructor', path: '/a' }]],
    ['a path through the prototype', {}, at('/__proto__/polluted', 1)],
  ])('%s is Invalid with the message of kube-apiserver', (_title, document, patch) => {
    expect(() => applyJsonPatch(document, patch)).toThrow(
      expect.objectContaining({ reason: 'Invalid', code: 422, message: 'the server rejected our request due to an error in our request' }),
    );
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('__proto__ is a member like any other', () => {
    const patched = applyJsonPatch({}, at('/__proto__', { x: 1 }));
    expect(JSON.stringify(patched)).toBe('{"__proto__":{"x":1}}');
    expect(Object.getPrototypeOf(patched)).toBe(Object.prototype);
  });

  test('what is no patch is a bad request', () => {
    expect(() => applyJsonPatch({}, { op: 'add' })).toThrow('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
    expect(() => applyJsonPatch({}, ['x'])).toThrow('json: cannot unmarshal string into Go value of type jsonpatch.Operation');
  });

  test('more than 10,000 operations are too many', () => {
    const patch = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/a', value: null }));
    expect(() => applyJsonPatch({}, patch)).toThrow('The allowed maximum operations in a JSON patch is 10000, got 10001');
    expect(applyJsonPatch({}, patch.slice(1))).toEqual({});
  });

  test('copies that double an object end at 3 MiB', () => {
    const patch = Array.from({ length: 40 }, (_, i) => ({ op: 'copy', from: '/a', path: `/a/x${i}` }));
    expect(() => applyJsonPatch({ a: { text: 'x'.repeat(100) } }, patch)).toThrow(expect.objectContaining({ reason: 'Invalid' }));
  });

  test('10,000 additions to one map take linear time', () => {
    const patch = Array.from({ length: 10_000 }, (_, i) => ({ op: 'add', path: `/m/k${i}`, value: i }));
    const started = performance.now();
    const patched = applyJsonPatch({ m: {} }, patch) as { m: object };
    expect(Object.keys(patched.m)).toHaveLength(10_000);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
