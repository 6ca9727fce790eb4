import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { realClock } from './clock.ts';
import { followFile } from './follow-file.ts';

test('a file that is written to, replaced or made anew is told of with its text, and only when that is another', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'follow-'));
  const file = join(dir, 'config.yaml');
  writeFileSync(file, 'one');
  const controller = new AbortController();
  const changes = followFile(file, 'one', realClock, controller.signal);
  const next = async (): Promise<unknown> => (await changes.next()).value;
  const first = next();
  writeFileSync(join(dir, 'other'), 'of no interest');
  writeFileSync(file, 'two');
  // A write may be seen half done: empty, then complete.
  const seen = (await first) === '' ? await next() : 'two';
  expect(seen).toBe('two');
  const second = next();
  writeFileSync(join(dir, 'new'), 'three');
  renameSync(join(dir, 'new'), file);
  expect(await second).toBe('three');
  const last = changes.next();
  controller.abort();
  expect(await last).toMatchObject({ done: true });
  rmSync(dir, { recursive: true });
});
