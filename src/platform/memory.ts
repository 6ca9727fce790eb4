/** What the start of a thread leaves behind in memory. */

/** By then a node has started, on small machines too. */
const startIsOverMs = 15_000;

/**
 * Gives the garbage of the start, and the compiled code that only the start needed, back to the machine: 20 MB in all threads. V8
 * alone would keep them until something presses for room, which nothing does on an idle node. Once per thread, in the thread
 * itself; does nothing where Node runs without --expose-gc.
 */
export function tidyAfterStart(): void {
  const { gc } = globalThis;
  if (gc !== undefined) setTimeout(() => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' }), startIsOverMs).unref();
}
