import { expect, test } from 'vitest';
import { parseBody } from './parse-body.ts';

const parse = (text: string): unknown => parseBody(Buffer.from(text), 'yaml', false).value;

test('YAML of so many keys that reading it would hold up others is refused, the same as JSON is taken', () => {
  const many = Array.from({ length: 60_000 }, (_, i) => `k${i}: v`);
  expect(() => parse(many.join('\n'))).toThrow('yaml: more than 50000 lines and keys; send JSON');
  expect(() => parse(`{${many.join(', ')}}`)).toThrow('send JSON');
  expect(() => parse('- '.repeat(200_000))).toThrow('send JSON');
  expect(parse(JSON.stringify(Object.fromEntries(many.map((key) => [key, 1]))))).toHaveProperty('k0: v', 1);
});

test('a large text in YAML is taken', () => {
  const text = 'a line of some text: more\n'.repeat(30_000);
  expect(parse(`data: |\n${text.replaceAll(/^/gm, '  ')}`)).toEqual({ data: text });
});
