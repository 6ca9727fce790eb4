/** Memory that a thread holds without need, given back to the machine. */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** By then a node has started, on small machines too. */
const startIsOverMs = 15_000;
/** So long without a collection: nothing is going on that allocates. */
const quietMs = 3_000;
/** Less garbage than this is not worth a collection of everything, */
const worthBytes = 24 * 1024 * 1024;
/** nor less than this share of what is held: the collection takes as long as what is held is large, and all wait for it. */
const worthShare = 0.25;

/**
 * Gives the garbage of the start, and the compiled code that only the start needed, back to the machine: 20 MB in all threads. V8
 * alone would keep them until something presses for room, which nothing does on an idle node. Once per thread, in the thread
 * itself; does nothing where Node runs without --expose-gc.
 */
export function tidyAfterStart(): void {
  const { gc } = globalThis;
  if (gc === undefined) return;
  setTimeout(() => {
    gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    tidyAfterLoad(gc);
  }, startIsOverMs).unref();
}

/** Buffers count too: some are kept only as long as nobody needs the room. */
const usedBytes = (): number => {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
};

/**
 * The same for what a burst of work left behind, such as a thousand definitions or a list of all objects, as soon as the burst is
 * over. V8's own collections tell of it: a thread that allocates next to nothing makes none, so nothing is looked at there.
 */
function tidyAfterLoad(gc: NonNullable<typeof globalThis.gc>): void {
  let tidy = usedBytes();
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    timer = undefined;
    if (usedBytes() - tidy < Math.max(worthBytes, worthShare * tidy)) return;
    gc({ type: 'major', execution: 'sync' });
    tidy = usedBytes();
  };
  new PerformanceObserver(() => {
    timer ??= setTimeout(look, quietMs).unref();
    timer.refresh();
  }).observe({ entryTypes: ['gc'] });
}
