import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SortedEntries } from './sorted-entries.ts';

const key = fc.integer({ min: 0, max: 3000 }).map((n) => `/k/${n}`);

test('behaves as a sorted map through random changes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), key, fc.nat()), { maxLength: 4000, minLength: 1500, size: 'max' }),
      key,
      key,
      (changes, from, to) => {
        const entries = new SortedEntries<{ readonly key: string; readonly n: number }>();
        const model = new Map<string, number>();
        for (const [remove, k, n] of changes) {
          const before = remove && n % 2 === 0 ? entries.delete(k) : entries.set({ key: k, n });
          expect(before?.n).toBe(model.get(k));
          if (remove && n % 2 === 0) model.delete(k);
          else model.set(k, n);
        }
        const sorted = [...model].map(([k, n]) => ({ key: k, n })).sort((a, b) => (a.key < b.key ? -1 : 1));
        const inside = sorted.filter((e) => e.key >= from && e.key < to);
        expect(entries.size).toBe(model.size);
        expect([...entries.iterate('', undefined)]).toEqual(sorted);
        expect(entries.range(from, to)).toEqual(inside);
        expect(entries.range(from, to, 3)).toEqual(inside.slice(0, 3));
        expect(entries.count(from, to)).toBe(inside.length);
        expect(entries.count(from, undefined)).toBe(sorted.filter((e) => e.key >= from).length);
      },
    ),
    { numRuns: 15 },
  );
});

test('stays in order when everything is added in order and removed from the front', () => {
  const entries = new SortedEntries<{ readonly key: string }>();
  const keys = Array.from({ length: 5000 }, (_, i) => `/k/${String(i).padStart(5, '0')}`);
  for (const k of keys) entries.set({ key: k });
  expect(entries.range('', undefined).map((e) => e.key)).toEqual(keys);
  for (const k of keys.slice(0, 4990)) entries.delete(k);
  expect(entries.range('', undefined).map((e) => e.key)).toEqual(keys.slice(4990));
  expect(entries.delete('/k/absent')).toBeUndefined();
});
