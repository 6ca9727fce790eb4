/** Keeps container logs bounded: pkg/kubelet/logs container_log_manager.go. */
import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Cri } from '../cri/client.ts';
import type { PodManager } from '../pods/manager.ts';

export interface RotateDeps {
  readonly manager: Pick<PodManager, 'list'>;
  readonly cri: () => Cri;
  readonly clock: Clock;
  readonly log: Logger;
  readonly maxBytes: number;
  readonly maxFiles: number;
}

const checkMs = 10_000;
const stamp = (ms: number): string =>
  new Date(ms)
    .toISOString()
    .replaceAll(/[-:]|\..*$/g, '')
    .replace('T', '-');

/** Rotated logs of one run, oldest first. */
async function rotated(path: string): Promise<readonly string[]> {
  const names = await readdir(dirname(path)).catch(() => []);
  return names
    .filter((name) => name.startsWith(`${basename(path)}.`))
    .sort()
    .map((name) => join(dirname(path), name));
}

async function compress(path: string): Promise<void> {
  await pipeline(createReadStream(path), createGzip(), createWriteStream(`${path}.gz.tmp`));
  await rename(`${path}.gz.tmp`, `${path}.gz`);
  await rm(path);
}

/** Moves a full log aside and has the runtime begin a new one. The last rotated file stays plain, for those who follow it. */
async function rotate(path: string, containerId: string, deps: RotateDeps): Promise<void> {
  const old = await rotated(path);
  for (const file of old) if (file.endsWith('.tmp')) await rm(file, { force: true });
  const kept = old.filter((file) => !file.endsWith('.tmp'));
  for (const file of kept.slice(0, Math.max(0, kept.length - (deps.maxFiles - 2)))) await rm(file, { force: true });
  for (const file of kept.slice(-(deps.maxFiles - 2))) if (!file.endsWith('.gz')) await compress(file);
  const aside = `${path}.${stamp(deps.clock.now())}`;
  await rename(path, aside);
  try {
    await deps.cri().reopenContainerLog({ containerId });
  } catch (error) {
    await rename(aside, path);
    throw error;
  }
}

/** Looks at the log of every running container once. */
export async function rotateIfLarge(deps: RotateDeps): Promise<void> {
  for (const worker of deps.manager.list()) {
    for (const record of worker.runtime()?.containers ?? []) {
      if (record.state !== 'running' || record.logPath === '') continue;
      const size = await stat(record.logPath).then(
        (s) => s.size,
        () => 0,
      );
      if (size < deps.maxBytes) continue;
      await rotate(record.logPath, record.id, deps).catch((error: unknown) =>
        deps.log.warn('a log cannot be rotated', { path: record.logPath, error }),
      );
    }
  }
}

export async function rotateLogs(deps: RotateDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await deps.clock.sleep(checkMs, signal).catch(() => undefined);
    if (!signal.aborted) await rotateIfLarge(deps);
  }
}
