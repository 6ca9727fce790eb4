import { appendFile, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLogger } from '#platform/log.ts';
import { createOomLog } from './oom-log.ts';

const log = createLogger({ debug: false });
const id = (digit: string): string => digit.repeat(64);
const record = (memcg: string): string =>
  `6,1234,567890,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=/kubepods/pod1,task_memcg=${memcg},task=dd,pid=7,uid=0\n`;

test('a container of which the kernel killed a process is known, under either cgroup driver, as soon as the kernel has said so', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'k3ts-kmsg-'));
  const file = join(folder.path, 'kmsg');
  await writeFile(file, `6,1,2,-;eth0: link up\n${record(`/kubepods/burstable/pod1/${id('a')}`)}`);
  const kernel = createOomLog(log, file);
  expect(await kernel.killed(id('a'))).toBe(true);
  expect(await kernel.killed(id('b'))).toBe(false);
  await appendFile(file, record(`/kubepods.slice/kubepods-pod1.slice/cri-containerd-${id('b')}.scope`));
  expect(await Promise.all([kernel.killed(id('b')), kernel.killed(id('c'))])).toEqual([true, false]);
  await kernel.close();
});

test('where the log of the kernel cannot be read none is known', async () => {
  const kernel = createOomLog(log, '/nonexistent/kmsg');
  expect(await kernel.killed(id('a'))).toBe(false);
  await kernel.close();
});
