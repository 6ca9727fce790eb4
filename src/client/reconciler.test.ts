import { expect, test } from 'vitest';
import { TaskGroup } from '#lib/task-group.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { createReconciler } from './reconciler.ts';

const ready = { hasSynced: () => true, synced: () => Promise.resolve() };

test('work begins only when the sources have synced', async () => {
  const clock = fakeClock();
  const done: string[] = [];
  const gate = Promise.withResolvers<void>();
  const reconciler = createReconciler(
    { clock, log: memoryLogger() },
    {
      name: 'test',
      sources: [{ hasSynced: () => false, synced: () => gate.promise }],
      reconcile: async (key) => {
        done.push(key);
        return undefined;
      },
    },
  );
  await using tasks = new TaskGroup();
  tasks.spawn(reconciler.run);
  reconciler.queue.add('a');
  await clock.advance(0);
  expect(done).toEqual([]);
  gate.resolve();
  await clock.advance(0);
  expect(done).toEqual(['a']);
});

test('a key that fails is retried until it succeeds; a result of milliseconds brings it back', async () => {
  const clock = fakeClock();
  let calls = 0;
  const reconciler = createReconciler(
    { clock, log: memoryLogger() },
    {
      name: 'test',
      sources: [ready],
      reconcile: async () => {
        calls++;
        if (calls < 3) throw new Error('not yet');
        return calls === 3 ? 1000 : undefined;
      },
    },
  );
  await using tasks = new TaskGroup();
  tasks.spawn(reconciler.run);
  reconciler.queue.add('a');
  await clock.advance(20);
  expect(calls).toBe(3);
  await clock.advance(900);
  expect(calls).toBe(3);
  await clock.advance(200);
  expect(calls).toBe(4);
  expect(reconciler.queue.idle()).toBe(true);
});

test('every key is looked at again each resync period', async () => {
  const clock = fakeClock();
  const done: string[] = [];
  const reconciler = createReconciler(
    { clock, log: memoryLogger() },
    {
      name: 'test',
      sources: [ready],
      keys: () => ['a', 'b'],
      resyncMs: 120_000,
      reconcile: async (key) => {
        done.push(key);
        return undefined;
      },
    },
  );
  await using tasks = new TaskGroup();
  tasks.spawn(reconciler.run);
  await clock.advance(119_000);
  expect(done).toEqual([]);
  await clock.advance(1000);
  expect(done).toEqual(['a', 'b']);
});
