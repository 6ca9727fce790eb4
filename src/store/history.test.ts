import { expect, test } from 'vitest';
import { goBack, skipLost } from './history.ts';

const lost = [
  { after: 10, until: 100 },
  { after: 120, until: 200 },
];

test('going back counts only revisions that were not lost', () => {
  expect(goBack(250, [], 50)).toBe(200);
  expect(goBack(250, lost, 50)).toBe(200);
  expect(goBack(250, lost, 60)).toBe(110);
  expect(goBack(250, lost, 71)).toBe(9);
  expect(goBack(110, lost, 5)).toBe(105);
});

test('a revision that may have been lost is passed over to where the store went on', () => {
  expect([10, 11, 99, 100, 150, 250].map((r) => skipLost(r, lost))).toEqual([10, 100, 100, 100, 200, 250]);
});
