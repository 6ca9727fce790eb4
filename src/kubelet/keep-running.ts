/** Parts of the kubelet fail by themselves: a bug in one must not take the pods of all others out of care. */
import { backoffMs } from '#lib/backoff.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';

const retry = { baseMs: 1000, maxMs: 30_000 };

/** A task that is told and begun again when it throws; it ends when `run` returns or the signal aborts. */
export function keepRunning(
  part: string,
  run: (signal: AbortSignal) => Promise<void>,
  deps: { readonly clock: Clock; readonly log: Logger },
): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        await run(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        deps.log.error('a part of the kubelet failed and is begun again', { part, error });
        await deps.clock.sleep(backoffMs(failures, retry), signal).catch(() => undefined);
      }
    }
  };
}
