import { type ResourceLimits, Worker } from 'node:worker_threads';

/**
 * Room for new objects in a thread, in MB. V8's own choice grows to 96 MB under load and stays resident for long; these
 * threads make little garbage, and a scavenge of a small room takes well under a millisecond.
 */
const youngGenerationMb = 6;

/**
 * Starts one of the thread entries in this folder. The bundle keeps them as <name>.mjs beside the main file; from
 * sources they are TypeScript.
 */
export function startThread(
  name: 'store-worker' | 'agent-worker' | 'yaml-worker',
  workerData: unknown,
  limits: ResourceLimits = {},
): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'mjs';
  return new Worker(new URL(`./${name}.${extension}`, import.meta.url), {
    workerData,
    name,
    resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb, ...limits },
  });
}
