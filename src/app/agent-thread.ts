/** The server's own node: the code of `k3ts agent` in a thread of its own, over HTTPS like every other node. */
import type { Worker } from 'node:worker_threads';
import type { Logger } from '#platform/log.ts';
import type { Running } from './components.ts';
import type { AgentConfig } from './config.ts';
import { startThread } from './threads.ts';

/** What the thread is told. */
export type ToAgent = 'start' | 'stop';

const restartMs = 1000;

/** The thread loads its code at once, while the API server still starts; it begins its work when it is started. */
export function createAgentThread(config: () => AgentConfig, log: Logger): Running {
  const tell = (thread: Worker, message: ToAgent): void => thread.postMessage(message);
  let stopping = false;
  const open = (): Worker => {
    const thread = startThread('agent-worker', config());
    thread.on('error', (error) => log.error('the agent thread failed', { error }));
    thread.on('exit', () => {
      if (worker === thread) worker = undefined;
      if (!stopping) setTimeout(restart, restartMs);
    });
    return thread;
  };
  const restart = (): void => {
    worker = open();
    tell(worker, 'start');
  };
  let worker: Worker | undefined = open();
  return {
    start: async () => {
      if (worker !== undefined) tell(worker, 'start');
    },
    stop: async () => {
      stopping = true;
      const thread = worker;
      if (thread === undefined) return;
      const exited = new Promise<void>((resolve) => {
        thread.once('exit', () => resolve());
      });
      tell(thread, 'stop');
      await exited;
    },
    // Whether the node is ready is told by its object in the API.
    notReady: () => (worker === undefined ? 'the agent thread does not run' : undefined),
  };
}
