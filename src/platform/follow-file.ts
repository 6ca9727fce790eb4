/** Tells of changes to a file: at once where the system tells, and within a minute in any case, as upstream. */
import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from './clock.ts';

const everyMs = 60_000;

/**
 * Yields the file's text whenever it is another than before, beginning with `known`. A file that cannot be read counts as
 * unchanged. Ends when the signal aborts.
 */
export async function* followFile(path: string, known: string, clock: Clock, signal: AbortSignal): AsyncGenerator<string, void> {
  let last = known;
  let wake: () => void = () => undefined;
  let told = false;
  const tell = (): void => {
    told = true;
    wake();
  };
  // The folder, because editors and mounted ConfigMaps put another file into the place of the old one.
  const watcher = watch(dirname(path), { persistent: false, signal }, tell);
  watcher.on('error', () => undefined);
  signal.addEventListener('abort', tell, { once: true });
  const timerOf = (): { readonly cancel: () => void } => clock.after(everyMs, tell);
  while (!signal.aborted) {
    const text = await readFile(path, 'utf8').catch(() => last);
    if (text !== last) {
      last = text;
      yield text;
    }
    const timer = timerOf();
    if (!told)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    timer.cancel();
    told = false;
  }
}
