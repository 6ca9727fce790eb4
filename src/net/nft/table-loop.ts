/** Brings changes into the kernel in few, small transactions, and notices when somebody else changed the tables. */
import { backoffMs } from '#lib/backoff.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { type KernelTable, messageOf } from './kernel-table.ts';

export interface TableLoopOptions {
  /** For log lines: "service rules". */
  readonly what: string;
  readonly tables: readonly KernelTable[];
  /** Puts everything that has changed into the tables' fragments. */
  readonly prepare: () => void;
  /** After each successful transaction. */
  readonly applied?: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface TableLoop {
  /** Something has changed. */
  readonly wake: () => void;
  /** Runs until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** True once the tables have been written completely. */
  readonly ready: () => boolean;
}

/** Changes are gathered for so long before a transaction, and transactions are at least so far apart. */
const gatherMs = 20;
const minIntervalMs = 100;
/** How often to look whether somebody flushed a table. */
const verifyMs = 60_000;
const retry = { baseMs: 500, maxMs: 30_000 };

export function createTableLoop(options: TableLoopOptions): TableLoop {
  const { clock, log, tables } = options;
  let changed = true;
  let wakeUp: (() => void) | undefined;
  let ready = false;
  const write = async (signal: AbortSignal): Promise<void> => {
    changed = false;
    options.prepare();
    for (const table of tables) await table.apply(signal);
    if (!ready) log.info(`${options.what} are in place`);
    ready = true;
    await options.applied?.(signal);
  };
  /** True when woken by a change, false after `ms`. */
  const wakened = (ms: number, signal: AbortSignal): Promise<boolean> =>
    new Promise((resolve, reject) => {
      const end = (by: boolean): void => {
        wakeUp = undefined;
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        resolve(by);
      };
      const onAbort = (): void => {
        wakeUp = undefined;
        timer.cancel();
        reject(signal.reason);
      };
      const timer = clock.after(ms, () => end(false));
      wakeUp = () => end(true);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  /** Resolves when there is something to write. */
  const waitForWork = async (signal: AbortSignal): Promise<void> => {
    while (!changed) {
      if (await wakened(verifyMs, signal)) return;
      const intact = await Promise.all(tables.map((t) => t.verify(signal)));
      if (!intact.every(Boolean)) return;
    }
  };
  return {
    ready: () => ready,
    wake: () => {
      changed = true;
      wakeUp?.();
    },
    run: async (signal) => {
      let failures = 0;
      while (!signal.aborted) {
        try {
          await write(signal);
          failures = 0;
        } catch (error) {
          if (signal.aborted) return;
          failures++;
          changed = true;
          log.error(`cannot write ${options.what}, will retry`, { why: messageOf(error) });
          await clock.sleep(backoffMs(failures, retry), signal);
          continue;
        }
        await clock.sleep(minIntervalMs, signal);
        await waitForWork(signal);
        await clock.sleep(gatherMs, signal);
      }
    },
  };
}
