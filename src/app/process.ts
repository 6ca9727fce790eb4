import { realExec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import { tidyAfterStart } from '#platform/memory.ts';
import { takeNotifySocket } from './notify.ts';

export interface Runnable {
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** A stop that takes longer is cut off: systemd and users wait no longer than a few seconds. */
const stopWithinMs = 4800;

/**
 * Runs something until SIGTERM or SIGINT, then stops it in order and ends the process. A second signal ends it at once.
 * A service manager that waits for it is told when it has started.
 * When it cannot start, what is wrong is told and the exit code is 1.
 */
export async function runUntilSignal(log: Logger, create: () => Promise<Runnable>): Promise<void> {
  const notifyReady = takeNotifySocket(process.env, { exec: realExec, log });
  let runnable: Runnable | undefined;
  let ending = false;
  // Timers of the clock do not hold the process: without this, waiting to try again with no connection open would end it.
  setInterval(() => undefined, 0x7fff_ffff);
  // Asynchronous bugs are told with their stack and do not take the cluster down with them.
  process.on('unhandledRejection', (error) => log.error('unhandled rejection: a bug in k3ts, please report it', { error }));
  const end = (signal: string): void => {
    if (ending) process.exit(1);
    ending = true;
    log.info('stopping', { signal });
    setTimeout(() => {
      log.warn('stopping took too long, giving up on the rest');
      process.exit(0);
    }, stopWithinMs).unref();
    (runnable?.stop() ?? Promise.resolve()).then(
      () => process.exit(0),
      (error: unknown) => {
        log.error('not everything stopped cleanly', { error });
        process.exit(0);
      },
    );
  };
  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
  try {
    runnable = await create();
    await runnable.start();
    await notifyReady();
    tidyAfterStart();
  } catch (error) {
    if (ending) return;
    log.error(`cannot start: ${error instanceof Error ? error.message : String(error)}`, { error });
    await runnable?.stop().catch(() => undefined);
    process.exit(1);
  }
}
