import { expect, test } from 'vitest';
import { goDiff } from './go-diff.ts';

test.each<[string, object, object, string]>([
  ['nothing', { a: 1 }, { a: 1 }, ''],
  ['a field', { a: 1, b: 'x' }, { a: 2, b: 'x' }, '  T{\n- \ta: 1,\n+ \ta: 2,\n  \tb: "x",\n  }\n'],
  ['a new field', {}, { a: [1] }, '  T{\n- \ta: nil,\n+ \ta: {1},\n  }\n'],
  [
    'a field in a list of structs',
    { list: [{ name: 'c' }, { name: 'd' }] },
    { list: [{ name: 'c' }, { name: 'd', command: ['x'] }] },
    '  T{\n  \tlist: {\n  \t\t{name: "c"},\n  \t\t{\n  \t\t\tname: "d",\n- \t\t\tcommand: nil,\n+ \t\t\tcommand: {"x"},\n  \t\t},\n  \t},\n  }\n',
  ],
  [
    'one of many fields',
    { a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7 },
    { a: 1, b: 2, c: 3, d: 9, e: 5, f: 6, g: 7 },
    '  T{\n  \t... // 1 identical fields\n  \tb: 2,\n  \tc: 3,\n- \td: 4,\n+ \td: 9,\n  \te: 5,\n  \tf: 6,\n  \t... // 1 identical fields\n  }\n',
  ],
  ['a shorter list', { l: ['a', 'b'] }, { l: ['a'] }, '  T{\n  \tl: {\n  \t\t"a",\n- \t\t"b",\n  \t},\n  }\n'],
])('%s', (_name, old, now, expected) => {
  expect(goDiff('T', old, now)).toBe(expected);
});
