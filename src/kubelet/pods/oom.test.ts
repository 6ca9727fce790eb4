import { expect, test } from 'vitest';
import { exited, testPod, testRecord } from './fixtures.ts';
import { createOomWatch } from './oom.ts';

const running = testRecord('c', { id: 'one' });
const ended = exited('c', 137, { id: 'one' });

test('a killed container that the kernel’s log names is shown as OOMKilled, also when the log has gone on', async () => {
  let named = true;
  const watch = createOomWatch(undefined, async (id) => named && id === 'one');
  expect(await watch.observe([running])).toEqual([running]);
  expect((await watch.observe([ended]))[0]?.reason).toBe('OOMKilled');
  named = false;
  expect((await watch.observe([ended]))[0]?.reason).toBe('OOMKilled');
});

test('a container that ended in another way is shown as the runtime says', async () => {
  const watch = createOomWatch(undefined, async (id) => id === 'two');
  const other = exited('d', 3, { id: 'two' });
  expect((await watch.observe([ended, other])).map((r) => r.reason)).toEqual(['Error', 'Error']);
});

test('what was told before a restart stays', async () => {
  const terminated = { exitCode: 137, reason: 'OOMKilled', containerID: 'containerd://one' };
  const status = { name: 'c', ready: false, restartCount: 0, image: '', imageID: '', state: { terminated } };
  const watch = createOomWatch({ ...testPod({}), status: { containerStatuses: [status] } }, async () => false);
  expect((await watch.observe([ended]))[0]?.reason).toBe('OOMKilled');
});
