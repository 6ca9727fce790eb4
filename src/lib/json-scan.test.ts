import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findMember } from './json-scan.ts';

const name = 'wanted';
const json = fc.jsonValue({ maxDepth: 4 });

test('finds a member wherever it stands, and what stays without it is the rest', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), json), fc.dictionary(fc.string(), json), json, fc.boolean(), (before, after, value, there) => {
      const rest = { ...before, ...after };
      delete rest[name];
      const whole = there ? { ...before, [name]: value, ...after } : rest;
      if (there) whole[name] = value;
      const prefix = '{"a":';
      const bytes = Buffer.from(`${prefix}${JSON.stringify(whole)}}`);
      const found = findMember(bytes, prefix.length, name);
      expect(found !== undefined).toBe(there);
      if (found === undefined) return;
      expect(JSON.parse(bytes.toString('utf8', found.start, found.end))).toEqual(JSON.parse(JSON.stringify(value)));
      const cut = bytes.toString('utf8', 0, found.cutStart) + bytes.toString('utf8', found.cutEnd);
      expect(JSON.parse(cut)).toEqual({ a: JSON.parse(JSON.stringify(rest)) });
    }),
  );
});

test('is not fooled by the name within strings or deeper objects', () => {
  const bytes = Buffer.from(JSON.stringify({ a: '{"wanted":1', 'b\\"': { wanted: 2 }, '"wanted': 3 }));
  expect(findMember(bytes, 0, name)).toBeUndefined();
});

test('a range that it gives for bytes that are no JSON lies within them', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (noise) => {
      const bytes = Buffer.from([0x7b, 0x22, ...noise]);
      const found = findMember(bytes, 0, name);
      expect(found?.cutEnd ?? 0).toBeLessThanOrEqual(bytes.length);
    }),
  );
});
