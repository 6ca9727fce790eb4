import { join } from 'node:path';
import { expect, test } from 'vitest';
import { realExec } from '#platform/exec.ts';
import { openStore, temporaryDirectory } from './fixture.ts';

test('when the kernel refuses to write, writes fail, the process lives, and all that was acknowledged is there', async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, 'state.db');
  const script = 'ulimit -f 2000; exec "$0" "$1" "$2"';
  const { stdout } = await realExec('bash', ['-c', script, process.execPath, join(import.meta.dirname, 'limited-writer.ts'), file]);
  const said = JSON.parse(stdout) as { readonly stored: number; readonly readable: number; readonly codes: readonly string[] };
  expect(said.codes).toEqual(['io']);
  expect(said.stored).toBeGreaterThan(10);
  expect(said.readable).toBe(said.stored);
  const store = await openStore(file);
  expect((await store.list('/a/')).entries).toHaveLength(said.stored);
  expect(await store.check()).toEqual([]);
  await store.close();
}, 30_000);
