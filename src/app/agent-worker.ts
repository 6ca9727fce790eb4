/** Entry of the server's agent thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { realClock } from '#platform/clock.ts';
import { createLogger } from '#platform/log.ts';
import { tidyAfterStart } from '#platform/memory.ts';
import { realRandom } from '#platform/random.ts';
import { createAgent } from './agent.ts';
import type { ToAgent } from './agent-thread.ts';
import type { AgentConfig } from './config.ts';

const config = workerData as AgentConfig;
const log = createLogger({ debug: config.debug });
const agent = createAgent(config, { clock: realClock, random: realRandom, log });

parentPort?.on('message', (message: ToAgent) => {
  const done = message === 'start' ? agent.start() : agent.stop().finally(() => process.exit(0));
  done.catch((error: unknown) => log.error(`the agent did not ${message} cleanly`, { error }));
});
tidyAfterStart();
