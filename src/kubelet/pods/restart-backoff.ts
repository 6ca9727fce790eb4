/** How long a container that keeps ending waits before it is started again: k8s.io/client-go util/flowcontrol backoff. */
import type { Clock } from '#platform/clock.ts';

const baseMs = 10_000;
const maxMs = 300_000;

export interface RestartBackoff {
  /** Milliseconds still to wait (and the full delay), or undefined when the container may start now, which counts as another start. */
  readonly next: (container: string, finishedMs: number) => { readonly leftMs: number; readonly delayMs: number } | undefined;
}

/** The first restart is immediate; then 10 s, doubling up to 5 minutes, forgotten after 10 minutes without a restart. */
export function createRestartBackoff(clock: Pick<Clock, 'now'>): RestartBackoff {
  const entries = new Map<string, { delayMs: number; updatedMs: number }>();
  return {
    next: (container, finishedMs) => {
      const now = clock.now();
      const known = entries.get(container);
      const entry = known !== undefined && now - known.updatedMs <= 2 * maxMs ? known : undefined;
      if (entry !== undefined && now - finishedMs < entry.delayMs)
        return { leftMs: entry.delayMs - (now - finishedMs), delayMs: entry.delayMs };
      entries.set(container, { delayMs: entry === undefined ? baseMs : Math.min(maxMs, entry.delayMs * 2), updatedMs: now });
      return undefined;
    },
  };
}
