import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { Cri } from '../cri/client.ts';
import { testRecord, testRuntime } from '../pods/fixtures.ts';
import type { PodWorker } from '../pods/worker.ts';
import { rotateIfLarge } from './rotate.ts';

function setUp() {
  const dir = mkdtempSync(join(tmpdir(), 'k3ts-rotate-'));
  const path = join(dir, '0.log');
  const clock = fakeClock();
  const state = { broken: false };
  const cri = {
    reopenContainerLog: () => {
      if (state.broken) return Promise.reject(new Error('no'));
      writeFileSync(path, '');
      return Promise.resolve({});
    },
  } as unknown as Cri;
  const worker = { runtime: () => testRuntime([testRecord('c', { logPath: path })]) } as unknown as PodWorker;
  const deps = { manager: { list: () => [worker] }, cri: () => cri, clock, log: memoryLogger(), maxBytes: 100, maxFiles: 3 };
  return { dir, path, clock, state, rotate: () => rotateIfLarge(deps), fill: () => writeFileSync(path, 'x'.repeat(200)) };
}

test('a log is rotated when it is full, old ones are compressed, and only so many are kept', async () => {
  const t = setUp();
  writeFileSync(t.path, 'short');
  await t.rotate();
  expect(readdirSync(t.dir)).toEqual(['0.log']);
  for (let round = 0; round < 4; round++) {
    t.fill();
    await t.rotate();
    await t.clock.advance(1000);
  }
  const names = readdirSync(t.dir).sort();
  expect(names).toEqual(['0.log', '0.log.20260101-000002.gz', '0.log.20260101-000003']);
  rmSync(t.dir, { recursive: true });
});

test('a log that the runtime does not begin anew stays where it is', async () => {
  const t = setUp();
  t.fill();
  t.state.broken = true;
  await t.rotate();
  expect(existsSync(t.path)).toBe(true);
  expect(readdirSync(t.dir)).toEqual(['0.log']);
  rmSync(t.dir, { recursive: true });
});
