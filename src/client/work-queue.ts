import { Heap } from '#lib/heap.ts';
import type { Clock, Timer } from '#platform/clock.ts';

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** More distinct keys than this are not taken: `onOverflow` is called, and the owner adds everything again later. */
  readonly limit?: number;
  readonly onOverflow?: () => void;
  /** Per-key delays of addRateLimited. client-go's defaults: 5 ms, doubling up to 1000 s. */
  readonly baseDelayMs?: number;
  readonly maxDelayMs?: number;
  /** Over all keys, addRateLimited lets this many a second through after a burst. client-go's defaults: 10 and 100. */
  readonly bucketPerSecond?: number;
  readonly bucketBurst?: number;
}

/**
 * Keys to work on: each waits at most once and is handed to one worker at a time; a key added while it is being worked
 * on is handed out again after `done`. Semantics of k8s.io/client-go util/workqueue.
 */
export interface WorkQueue {
  readonly add: (key: string) => void;
  /** The earliest of several delays wins. */
  readonly addAfter: (key: string, delayMs: number) => void;
  /** Adds after a delay that grows with every call until `forget`. */
  readonly addRateLimited: (key: string) => void;
  readonly forget: (key: string) => void;
  readonly requeues: (key: string) => number;
  /** The next key, or undefined once the signal aborts. The caller must call `done` with it. */
  readonly take: (signal: AbortSignal) => Promise<string | undefined>;
  readonly done: (key: string) => void;
  /** Keys that wait for a worker now; delayed ones do not count. */
  readonly length: () => number;
  /** True when nothing waits, is delayed or is being worked on. */
  readonly idle: () => boolean;
  /** Drops what is delayed and its timer. */
  readonly close: () => void;
}

interface Delayed {
  readonly key: string;
  readonly due: number;
}

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { clock } = options;
  const limit = options.limit ?? 200_000;
  /** In the order of adding; a Set is the queue and its de-duplication in one. */
  const waiting = new Set<string>();
  const active = new Set<string>();
  /** Added again while active. */
  const again = new Set<string>();
  const failures = new Map<string, number>();
  const takers: (() => void)[] = [];
  const bucket = tokenBucket(clock, options.bucketPerSecond ?? 10, options.bucketBurst ?? 100);

  const add = (key: string): void => {
    if (waiting.has(key) || again.has(key)) return;
    if (waiting.size + again.size >= limit) {
      options.onOverflow?.();
      return;
    }
    if (active.has(key)) {
      again.add(key);
      return;
    }
    waiting.add(key);
    takers.shift()?.();
  };
  const delayed = delayedAdds(clock, add);
  const addAfter = (key: string, delayMs: number): void => {
    if (delayMs <= 0) add(key);
    else if (delayed.size() >= limit) options.onOverflow?.();
    else delayed.add(key, delayMs);
  };

  return {
    add,
    addAfter,
    addRateLimited: (key) => {
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      const own = Math.min(options.maxDelayMs ?? 1_000_000, (options.baseDelayMs ?? 5) * 2 ** Math.min(count, 40));
      addAfter(key, Math.max(own, bucket.reserve()));
    },
    forget: (key) => void failures.delete(key),
    requeues: (key) => failures.get(key) ?? 0,
    take: async (signal) => {
      while (waiting.size === 0) {
        if (signal.aborted) return undefined;
        await nextTurn(takers, signal);
      }
      if (signal.aborted) return undefined;
      const key = waiting.values().next().value as string;
      waiting.delete(key);
      active.add(key);
      return key;
    },
    done: (key) => {
      active.delete(key);
      if (again.delete(key)) add(key);
    },
    length: () => waiting.size,
    idle: () => waiting.size === 0 && active.size === 0 && delayed.size() === 0,
    close: () => delayed.close(),
  };
}

function nextTurn(takers: (() => void)[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    const onAbort = (): void => {
      const i = takers.indexOf(wake);
      if (i >= 0) takers.splice(i, 1);
      resolve();
    };
    takers.push(wake);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Keys that are to be added later, with one timer for the earliest. */
function delayedAdds(clock: Clock, add: (key: string) => void) {
  const due = new Map<string, number>();
  let heap = new Heap<Delayed>((a, b) => a.due < b.due);
  let timer: { readonly handle: Timer; readonly due: number } | undefined;

  const fire = (): void => {
    timer = undefined;
    const now = clock.monotonic();
    for (let top = heap.peek(); top !== undefined && top.due <= now; top = heap.peek()) {
      heap.pop();
      if (due.get(top.key) !== top.due) continue;
      due.delete(top.key);
      add(top.key);
    }
    arm();
  };
  const arm = (): void => {
    const top = heap.peek();
    if (top === undefined || (timer !== undefined && timer.due <= top.due)) return;
    timer?.handle.cancel();
    // A timer may fire a little early on a coarse clock; the extra millisecond saves a second round.
    timer = { handle: clock.after(Math.ceil(top.due - clock.monotonic()), fire), due: top.due };
  };

  return {
    size: () => due.size,
    add: (key: string, delayMs: number): void => {
      const at = clock.monotonic() + delayMs;
      const known = due.get(key);
      if (known !== undefined && known <= at) return;
      due.set(key, at);
      heap.push({ key, due: at });
      arm();
    },
    close: (): void => {
      timer?.handle.cancel();
      timer = undefined;
      due.clear();
      heap = new Heap<Delayed>((a, b) => a.due < b.due);
    },
  };
}

/** golang.org/x/time/rate with Reserve: how long to wait for the next token, which is taken at once. */
export function tokenBucket(clock: Clock, perSecond: number, burst: number) {
  let tokens = burst;
  let last = clock.monotonic();
  const refill = (): void => {
    const now = clock.monotonic();
    tokens = Math.min(burst, tokens + ((now - last) / 1000) * perSecond);
    last = now;
  };
  return {
    /** Takes a token, possibly a future one; gives the milliseconds until it is there. */
    reserve: (): number => {
      refill();
      tokens -= 1;
      return tokens >= 0 ? 0 : (-tokens / perSecond) * 1000;
    },
    /** Takes a token if there is one. */
    allow: (): boolean => {
      refill();
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
