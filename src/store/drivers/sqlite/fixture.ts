import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { realClock } from '#platform/clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { EngineOptions } from './engine.ts';
import type { StoreWorkerData } from './protocol.ts';
import type { SqliteStore } from './sqlite-store.ts';
import { createSqliteStore } from './sqlite-store.ts';

/** A directory that is removed at the end of its block; in memory where there is such a place, so that fsync costs nothing. */
export function temporaryDirectory(): Disposable & { readonly path: string } {
  const memory = '/dev/shm';
  const path = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'k3ts-store-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Starts the store thread from the sources. */
export function startWorker(workerData: StoreWorkerData): Worker {
  return new Worker(new URL('./worker-main.ts', import.meta.url), { workerData });
}

/** A store in a file, as app/ opens it. */
export function openStore(file: string, options: Partial<EngineOptions> = {}): Promise<SqliteStore> {
  return createSqliteStore({ startWorker, ...options, file }, { clock: realClock, log: memoryLogger() });
}

/** Copies the files as a crash at this moment would leave them, and gives the copy's path. */
export function crashCopy(file: string, to: string): string {
  cpSync(file, to);
  if (existsSync(`${file}-wal`)) cpSync(`${file}-wal`, `${to}-wal`);
  return to;
}
