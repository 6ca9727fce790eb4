import { expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { keepRunning } from './keep-running.ts';

test('a part that throws is told and begun again after a while, until it returns', async () => {
  const clock = fakeClock();
  const log = memoryLogger();
  let runs = 0;
  const run = (): Promise<void> => (++runs < 3 ? Promise.reject(new Error('bug')) : Promise.resolve());
  const done = keepRunning('probes', run, { clock, log })(new AbortController().signal);
  await clock.advance(1000);
  expect(runs).toBe(2);
  await clock.advance(2000);
  await done;
  expect(runs).toBe(3);
  expect(log.lines.filter((line) => line.includes('"part":"probes"'))).toHaveLength(2);
});
