import { expect, test } from 'vitest';
import { createPace, mapInTurns } from './pace.ts';

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

/** Takes so long that its turn is over. */
const slow = (): void => {
  for (const end = performance.now() + 10; performance.now() < end; );
};

test('a long list is worked through in order, and others have their turn in between', async () => {
  const seen: (number | 'other')[] = [];
  setImmediate(() => seen.push('other'));
  const work = (n: number): number => {
    slow();
    seen.push(n);
    return 2 * n;
  };
  expect(await mapInTurns([1, 2, 3], work, new AbortController().signal)).toEqual([2, 4, 6]);
  expect(seen).toEqual([1, 'other', 2, 3]);
});

test('work that nobody waits for any more ends', async () => {
  const controller = new AbortController();
  const seen: number[] = [];
  const work = (n: number): void => {
    slow();
    seen.push(n);
    controller.abort(new Error('gone'));
  };
  await expect(mapInTurns([1, 2, 3], work, controller.signal)).rejects.toThrow('gone');
  expect(seen).toEqual([1]);
});
