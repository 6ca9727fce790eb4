import { expect, test } from 'vitest';
import { createPace } from './pace.ts';

test('work runs in order, one piece a turn, and others have their turn in between', async () => {
  const pace = createPace();
  const seen: string[] = [];
  const others = (n: number): void => {
    if (n > 0)
      setImmediate(() => {
        seen.push('other');
        others(n - 1);
      });
  };
  others(3);
  await Promise.all([pace.run(() => seen.push('a')), pace.run(() => seen.push('b')), pace.run(() => seen.push('c'))]);
  expect(seen.filter((s) => s !== 'other')).toEqual(['a', 'b', 'c']);
  expect(seen.indexOf('other')).toBeLessThan(seen.indexOf('b'));
});

test('work that fails fails its caller alone', async () => {
  const pace = createPace();
  const bad = pace.run(() => {
    throw new Error('no');
  });
  const good = pace.run(() => 1);
  await expect(bad).rejects.toThrow('no');
  expect(await good).toBe(1);
});
