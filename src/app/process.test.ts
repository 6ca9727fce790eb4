import { execFile } from 'node:child_process';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const script = `
import { runUntilSignal } from ${JSON.stringify(join(import.meta.dirname, 'process.ts'))};
import { realClock } from ${JSON.stringify(join(import.meta.dirname, '../platform/clock.ts'))};
const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
await runUntilSignal(log, async () => ({
  start: async () => void realClock.sleep(100).then(() => { console.log('tried again'); process.kill(process.pid, 'SIGTERM'); }),
  stop: async () => console.log('stopped'),
}));
`;

test('a service manager that waits is told when the program has started, and programs started from it cannot speak for it', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'k3ts-notify-'));
  const told = join(folder.path, 'told');
  // In the place of systemd's own program, which needs systemd.
  await writeFile(join(folder.path, 'systemd-notify'), `#!/bin/sh\necho "$@ $NOTIFY_SOCKET" >${told}\n`, { mode: 0o755 });
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', script.replace("'tried again'", "'socket: ' + process.env.NOTIFY_SOCKET")],
    { env: { PATH: `${folder.path}:/usr/bin:/bin`, NOTIFY_SOCKET: '/run/example' } },
  );
  expect(stdout).toBe('socket: undefined\nstopped\n');
  expect(await readFile(told, 'utf8')).toBe('--ready /run/example\n');
});

test('a program that only waits to try again runs until a signal ends it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  expect(stdout).toBe('tried again\nstopped\n');
});
