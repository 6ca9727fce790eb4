import { expect, test } from 'vitest';
import { parseGoDuration } from './go-duration.ts';

test.each([
  ['1m30s', 90_000],
  ['0', 0],
  ['0s', 0],
  ['1.5h', 5_400_000],
  ['250ms', 250],
  ['-5s', -5000],
  ['5', undefined],
  ['s', undefined],
  ['1d', undefined],
  ['1s x', undefined],
  ['', undefined],
])('%s is %s milliseconds', (text, ms) => {
  expect(parseGoDuration(text)).toBe(ms);
});
