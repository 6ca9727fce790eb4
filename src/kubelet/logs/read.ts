/** Reads and follows the log of one run of a container: pkg/kubelet/kuberuntime/logs ReadLogs. */
import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { LineSplitter, type LogLine, parseLogLine } from './cri-log.ts';

export interface LogQuery {
  readonly follow?: boolean;
  /** The last so many lines. */
  readonly tailLines?: number;
  readonly sinceMs?: number;
  readonly timestamps?: boolean;
  readonly limitBytes?: number;
  /** Only one of the two. */
  readonly stream?: 'stdout' | 'stderr';
}

/** Who fills the log. */
export interface LogWriter {
  readonly ended: () => boolean;
  /** Calls back when `ended` may have changed; the result ends that. */
  readonly onChange?: (fn: () => void) => () => void;
}

const chunkBytes = 64 * 1024;

/** Where the last `lines` lines begin. Partial entries count as lines, as upstream's do. */
async function tailOffset(file: FileHandle, size: number, lines: number): Promise<number> {
  if (lines <= 0) return size;
  let found = 0;
  let end = size;
  const buffer = Buffer.alloc(chunkBytes);
  while (end > 0) {
    const start = Math.max(0, end - chunkBytes);
    const { bytesRead } = await file.read(buffer, 0, end - start, start);
    for (let i = bytesRead - 1; i >= 0; i--) {
      // The newline at the very end closes the last line.
      if (buffer[i] !== 10 || start + i === size - 1) continue;
      found++;
      if (found === lines) return start + i + 1;
    }
    end = start;
  }
  return 0;
}

/** Resolves when the folder of the log changed, at the latest after `ms`, or when the signal aborts. */
class ChangeWaiter {
  #changed = false;
  #wake: (() => void) | undefined;
  readonly #watcher: FSWatcher;

  constructor(path: string) {
    this.#watcher = watch(dirname(path), { persistent: false }, (_, name) => {
      if (name !== null && !name.startsWith(basename(path))) return;
      this.notify();
    });
    this.#watcher.on('error', () => this.notify());
  }

  notify(): void {
    this.#changed = true;
    this.#wake?.();
  }

  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#changed || signal.aborted) {
      this.#changed = false;
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
    this.#wake = undefined;
    this.#changed = false;
  }

  close(): void {
    this.#watcher.close();
  }
}

interface Shape {
  readonly query: LogQuery;
  left: number;
  /** Streams whose last entry was partial: its continuation gets no timestamp of its own. */
  readonly open: Set<string>;
}

/** The bytes to show of an entry; undefined when it is filtered out. */
function render(line: LogLine, shape: Shape): Buffer | undefined {
  const { query } = shape;
  if (query.stream !== undefined && line.stream !== query.stream) return undefined;
  if (query.sinceMs !== undefined && Date.parse(line.time) < query.sinceMs) return undefined;
  const continued = shape.open.has(line.stream);
  if (line.partial) shape.open.add(line.stream);
  else shape.open.delete(line.stream);
  const parts: Buffer[] = [];
  if (query.timestamps === true && !continued) parts.push(Buffer.from(`${line.time} `));
  parts.push(line.text);
  if (!line.partial) parts.push(Buffer.from('\n'));
  return Buffer.concat(parts);
}

/**
 * Yields what the log holds, and with `follow` what is added, over rotations, until the container no longer
 * writes. Rejects with ENOENT when there is no log.
 */
export async function* readLog(path: string, query: LogQuery, writer: LogWriter, signal: AbortSignal): AsyncGenerator<Buffer> {
  let file = await open(path, 'r');
  const waiter = query.follow === true ? new ChangeWaiter(path) : undefined;
  const unsubscribe = waiter === undefined ? undefined : writer.onChange?.(() => waiter.notify());
  const shape: Shape = { query, left: query.limitBytes ?? Number.POSITIVE_INFINITY, open: new Set() };
  try {
    let inode = (await file.stat()).ino;
    let offset = query.tailLines === undefined ? 0 : await tailOffset(file, (await file.stat()).size, query.tailLines);
    let splitter = new LineSplitter();
    const buffer = Buffer.alloc(chunkBytes);
    while (!signal.aborted) {
      // Asked before reading: what is written after that is read in the next round, or was not written.
      const last = waiter === undefined || writer.ended();
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, chunkBytes, offset);
        if (bytesRead === 0) break;
        offset += bytesRead;
        const out: Buffer[] = [];
        for (const line of splitter.push(buffer.subarray(0, bytesRead))) {
          const entry = parseLogLine(line);
          const bytes = entry === undefined ? undefined : render(entry, shape);
          if (bytes !== undefined) out.push(bytes);
        }
        const chunk = Buffer.concat(out);
        if (chunk.length === 0) continue;
        yield chunk.length > shape.left ? chunk.subarray(0, shape.left) : chunk;
        shape.left -= chunk.length;
        if (shape.left <= 0) return;
      }
      // Rotated: the old file has been read to its end, the new one begins.
      const current = await stat(path).catch(() => undefined);
      if (current !== undefined && (current.ino !== inode || current.size < offset)) {
        await file.close();
        file = await open(path, 'r');
        inode = (await file.stat()).ino;
        offset = 0;
        splitter = new LineSplitter();
        continue;
      }
      if (last) return;
      await waiter?.wait(2000, signal);
    }
  } finally {
    unsubscribe?.();
    waiter?.close();
    await file.close();
  }
}

/** The end of a log as plain text: what FallbackToLogsOnError takes as the last words. */
export async function logTail(path: string, lines: number, maxBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  try {
    for await (const chunk of readLog(path, { tailLines: lines }, { ended: () => true }, new AbortController().signal)) parts.push(chunk);
  } catch {
    return '';
  }
  const all = Buffer.concat(parts);
  return all.subarray(Math.max(0, all.length - maxBytes)).toString('utf8');
}
