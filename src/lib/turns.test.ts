import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

const never = new AbortController().signal;

test('turns of one key come one after another, in order; other keys do not wait', async () => {
  const turns = new Turns();
  const seen: string[] = [];
  let inside = 0;
  const work = async (key: string, name: string): Promise<void> => {
    const turn = await turns.take(key, never);
    if (key === 'a') expect(++inside).toBe(1);
    await Promise.resolve();
    seen.push(name);
    if (key === 'a') inside--;
    turn.release();
  };
  await Promise.all([work('a', '1'), work('a', '2'), work('b', 'other'), work('a', '3')]);
  expect(seen.filter((s) => s !== 'other')).toEqual(['1', '2', '3']);
  await Promise.resolve();
  expect(turns.size).toBe(0);
});

test('who gives up while waiting does not stop those behind', async () => {
  const turns = new Turns();
  const first = await turns.take('a', never);
  const controller = new AbortController();
  const second = turns.take('a', controller.signal);
  const third = turns.take('a', never);
  controller.abort(new Error('gone'));
  await expect(second).rejects.toThrow('gone');
  first.release();
  (await third).release();
  await expect(turns.take('a', controller.signal)).rejects.toThrow('gone');
});
