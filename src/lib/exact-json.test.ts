import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseExact } from './exact-json.ts';

test.each([
  ['9007199254740991', 9007199254740991],
  ['9007199254740993', 9007199254740993n],
  ['-9223372036854775808', -9223372036854775808n],
  ['{"a": 18446744073709551616}', { a: 18446744073709551616n }],
  ['[1,\n 12345678901234567890]', [1, 12345678901234567890n]],
  ['{"a":"12345678901234567890","b":1.5,"c":1e300}', { a: '12345678901234567890', b: 1.5, c: 1e300 }],
  ['[0.12345678901234567]', [Number('0.12345678901234567')]],
])('%s is read without loss', (text, value) => {
  expect(parseExact(text)).toEqual(value);
});

test('integers of any size come out of JSON as they went in', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), fc.stringMatching(/^k[a0-9]{0,40}$/), (n, before) => {
      const text = `{"${before}":[${n}],"b":{"c":${n},"d":"${before}"},"e":[12345,${n}]}`;
      expect(JSON.stringify(parseExact(text))).toBe(text);
    }),
  );
});

test('keys such as __proto__ are keys like any other', () => {
  const parsed = parseExact('{"__proto__": {"x": 9007199254740993}}') as object;
  expect(Object.keys(parsed)).toEqual(['__proto__']);
  expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
});
