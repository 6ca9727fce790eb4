import { expect, test } from 'vitest';
import { isLongYaml, parseBody } from './parse-body.ts';

const parse = (text: string): unknown => parseBody(Buffer.from(text), 'yaml', false).value;

test.each<[string, string, boolean]>([
  ['many keys', 'k: v\n'.repeat(3_000), true],
  ['many items', '- '.repeat(3_000), true],
  ['many items in one line', `[${'1,'.repeat(3_000)}]`, true],
  ['keys in braces', `{${'k: v, '.repeat(3_000)}}`, true],
  ['JSON', JSON.stringify(Array.from({ length: 3_000 }, (_, i) => ({ k: i }))).replace(/^\[/, '{"a":['), false],
  ['few keys', 'k: v\n'.repeat(300), false],
])('%s: whether YAML takes long to read', (_title, text, long) => {
  expect(isLongYaml(Buffer.from(text))).toBe(long);
});

test('a large text in YAML is taken', () => {
  const text = 'a line of some text: more\n'.repeat(30_000);
  expect(parse(`data: |\n${text.replaceAll(/^/gm, '  ')}`)).toEqual({ data: text });
});
