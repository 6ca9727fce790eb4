import { expect, test } from 'vitest';
import { expand } from './expand.ts';

const vars: Readonly<Record<string, string>> = { A: 'a', B: 'b', EMPTY: '' };
const lookup = (name: string): string | undefined => (Object.hasOwn(vars, name) ? vars[name] : undefined);

test.each([
  ['$(A)', 'a'],
  ['x$(A)y$(B)', 'xayb'],
  ['$(EMPTY)', ''],
  ['$(UNKNOWN)', '$(UNKNOWN)'],
  ['$$(A)', '$(A)'],
  ['$$$(A)', '$a'],
  ['$A', '$A'],
  ['$(A', '$(A'],
  ['a$', 'a$'],
  ['$()', '$()'],
  ['$(A)$', 'a$'],
])('%s becomes %s', (input, expected) => {
  expect(expand(input, lookup)).toBe(expected);
});
