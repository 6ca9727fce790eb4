import { execFile } from 'node:child_process';
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

test('a program that only waits to try again runs until a signal ends it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  expect(stdout).toBe('tried again\nstopped\n');
});
