import { expect, test } from 'vitest';
import { exited, testPod, testRecord } from './fixtures.ts';
import { createOomWatch } from './oom.ts';

const running = testRecord('c', { id: 'one' });
const ended = exited('c', 137, { id: 'one' });

test('a container killed while the kernel counted a kill in its pod is shown as OOMKilled, also later', async () => {
  let kills: number | undefined;
  const watch = createOomWatch(undefined, async () => kills);
  expect(await watch.observe([])).toEqual([]);
  kills = 0;
  expect(await watch.observe([running])).toEqual([running]);
  kills = 1;
  expect((await watch.observe([ended]))[0]?.reason).toBe('OOMKilled');
  // The pod's cgroup is gone.
  kills = undefined;
  expect((await watch.observe([ended]))[0]?.reason).toBe('OOMKilled');
});

test('a container killed for another reason, or ended by itself, is shown as the runtime says', async () => {
  let kills = 0;
  const watch = createOomWatch(undefined, async () => kills);
  await watch.observe([running]);
  expect((await watch.observe([ended]))[0]?.reason).toBe('Error');
  kills = 1;
  const other = exited('d', 3, { id: 'two' });
  expect((await watch.observe([ended, other])).map((r) => r.reason)).toEqual(['Error', 'Error']);
});

test('kills from before the first look are no news', async () => {
  const watch = createOomWatch(undefined, async () => 5);
  expect((await watch.observe([ended]))[0]?.reason).toBe('Error');
});

test('what was told before a restart stays', async () => {
  const terminated = { exitCode: 137, reason: 'OOMKilled', containerID: 'containerd://one' };
  const status = { name: 'c', ready: false, restartCount: 0, image: '', imageID: '', state: { terminated } };
  const watch = createOomWatch({ ...testPod({}), status: { containerStatuses: [status] } }, async () => 5);
  expect((await watch.observe([ended]))[0]?.reason).toBe('OOMKilled');
});
