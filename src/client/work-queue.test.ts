import { expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { createWorkQueue } from './work-queue.ts';

const never = new AbortController().signal;

test('a key added twice is handed out once', async () => {
  const queue = createWorkQueue({ clock: fakeClock() });
  queue.add('a');
  queue.add('a');
  expect(await queue.take(never)).toBe('a');
  expect(queue.length()).toBe(0);
});

test('a key added while it is worked on is handed out again only after done', async () => {
  const queue = createWorkQueue({ clock: fakeClock() });
  queue.add('a');
  await queue.take(never);
  queue.add('a');
  expect(queue.length()).toBe(0);
  queue.done('a');
  expect(await queue.take(never)).toBe('a');
});

test('a worker that waits gets the next key; one whose signal aborts gets undefined', async () => {
  const queue = createWorkQueue({ clock: fakeClock() });
  const stop = new AbortController();
  const first = queue.take(stop.signal);
  const second = queue.take(stop.signal);
  queue.add('a');
  expect(await first).toBe('a');
  stop.abort();
  expect(await second).toBeUndefined();
});

test('delayed keys come when they are due, the earliest delay winning', async () => {
  const clock = fakeClock();
  const queue = createWorkQueue({ clock });
  queue.addAfter('a', 1000);
  queue.addAfter('b', 500);
  queue.addAfter('a', 100);
  queue.addAfter('a', 3000);
  await clock.advance(100);
  expect(queue.length()).toBe(1);
  expect(await queue.take(never)).toBe('a');
  queue.done('a');
  await clock.advance(10_000);
  expect(await queue.take(never)).toBe('b');
  queue.done('b');
  expect(queue.idle()).toBe(true);
  expect(clock.waiting()).toBe(0);
});

test('rate-limited adds wait 5 ms, 10 ms, 20 ms and so on until forgotten', async () => {
  const clock = fakeClock();
  const queue = createWorkQueue({ clock });
  for (const delay of [5, 10, 20, 40]) {
    queue.addRateLimited('a');
    await clock.advance(delay - 1);
    expect(queue.length()).toBe(0);
    await clock.advance(1);
    expect(await queue.take(never)).toBe('a');
    queue.done('a');
  }
  expect(queue.requeues('a')).toBe(4);
  queue.forget('a');
  queue.addRateLimited('a');
  await clock.advance(5);
  expect(queue.length()).toBe(1);
});

test('rate-limited adds of many keys share a bucket of 100 and then 10 a second', async () => {
  const clock = fakeClock();
  const queue = createWorkQueue({ clock });
  for (let i = 0; i < 120; i++) queue.addRateLimited(`k${i}`);
  await clock.advance(5);
  expect(queue.length()).toBe(100);
  await clock.advance(1000);
  expect(queue.length()).toBe(110);
});

test('keys beyond the limit are refused and reported', () => {
  let overflows = 0;
  const queue = createWorkQueue({ clock: fakeClock(), limit: 2, onOverflow: () => overflows++ });
  for (const key of ['a', 'b', 'a', 'c']) queue.add(key);
  expect(queue.length()).toBe(2);
  expect(overflows).toBe(1);
});
