import { Worker } from 'node:worker_threads';

/**
 * Starts one of the thread entries in this folder. The bundle keeps them as <name>.mjs beside the main file; from
 * sources they are TypeScript.
 */
export function startThread(name: 'store-worker' | 'agent-worker', workerData: unknown): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'mjs';
  return new Worker(new URL(`./${name}.${extension}`, import.meta.url), { workerData, name });
}
