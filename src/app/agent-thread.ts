/** The server's own node: the code of `k3ts agent` in a thread of its own, over HTTPS like every other node. */
import type { Worker } from 'node:worker_threads';
import type { Logger } from '#platform/log.ts';
import type { Running } from './components.ts';
import type { AgentConfig } from './config.ts';
import { startThread } from './threads.ts';

/** What the thread is told. */
export type ToAgent = { readonly type: 'stop' };

const restartMs = 1000;

export function createAgentThread(config: AgentConfig, log: Logger): Running {
  let worker: Worker | undefined;
  let stopping = false;
  const start = (): void => {
    const thread = startThread('agent-worker', config);
    worker = thread;
    thread.on('error', (error) => log.error('the agent thread failed', { error }));
    thread.on('exit', () => {
      if (worker === thread) worker = undefined;
      if (!stopping) setTimeout(start, restartMs);
    });
  };
  return {
    start: async () => start(),
    stop: async () => {
      stopping = true;
      const thread = worker;
      if (thread === undefined) return;
      const exited = new Promise<void>((resolve) => {
        thread.once('exit', () => resolve());
      });
      thread.postMessage({ type: 'stop' } satisfies ToAgent);
      await exited;
    },
    // Whether the node is ready is told by its object in the API.
    notReady: () => (worker === undefined ? 'the agent thread does not run' : undefined),
  };
}
