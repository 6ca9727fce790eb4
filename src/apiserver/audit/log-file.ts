/** The audit log: one JSON object a line, in a file that is rotated. kube-apiserver's --audit-log-* flags. */
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';

export interface AuditLogOptions {
  readonly path: string;
  /** Megabytes after which a new file is begun. Default 100, upstream's. */
  readonly maxSizeMb?: number;
  /** How many old files are kept; 0: all. */
  readonly maxBackups?: number;
  /** Days for which old files are kept; 0: for ever. */
  readonly maxAgeDays?: number;
}

export interface AuditSink {
  readonly write: (event: object) => void;
  /** Writes what is pending. */
  readonly close: () => Promise<void>;
}

/** Bytes that wait for a slow disk: beyond, events are dropped and counted, rather than requests held up. */
const maxPending = 64 * 1024 * 1024;
const dayMs = 24 * 3600 * 1000;

async function removeOld(options: AuditLogOptions, now: number): Promise<void> {
  const folder = dirname(options.path);
  const stem = basename(options.path, extname(options.path));
  const names = (await readdir(folder))
    .filter((n) => n.startsWith(`${stem}-`))
    .sort()
    .reverse();
  const keep = options.maxBackups ?? 0;
  const age = (options.maxAgeDays ?? 0) * dayMs;
  for (const [i, name] of names.entries()) {
    const file = join(folder, name);
    const old = age > 0 && now - (await stat(file)).mtimeMs > age;
    if ((keep > 0 && i >= keep) || old) await rm(file, { force: true });
  }
}

/** Rejects when the file cannot be opened. */
export async function openAuditLog(options: AuditLogOptions, deps: { readonly clock: Clock; readonly log: Logger }): Promise<AuditSink> {
  const limit = (options.maxSizeMb ?? 100) * 1024 * 1024;
  await mkdir(dirname(options.path), { recursive: true, mode: 0o700 });
  const open = (): Promise<WriteStream> =>
    new Promise((resolve, reject) => {
      const stream = createWriteStream(options.path, { flags: 'a', mode: 0o600 });
      stream.once('open', () => resolve(stream));
      stream.once('error', reject);
    });
  let stream = await open();
  let size = (await stat(options.path)).size;
  let pending = 0;
  let dropped = 0;
  let queue: Promise<void> = Promise.resolve();

  const rotate = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      stream.end(() => resolve());
    });
    const extension = extname(options.path);
    const when = new Date(deps.clock.now()).toISOString().replaceAll(':', '-');
    await rename(options.path, join(dirname(options.path), `${basename(options.path, extension)}-${when}${extension}`));
    stream = await open();
    size = 0;
    await removeOld(options, deps.clock.now());
  };
  const append = async (line: string): Promise<void> => {
    try {
      if (size > 0 && size + line.length > limit) await rotate();
      size += line.length;
      await new Promise<void>((resolve, reject) => {
        stream.write(line, (error) => (error instanceof Error ? reject(error) : resolve()));
      });
    } catch (error) {
      deps.log.error('the audit log cannot be written', { error });
    } finally {
      pending -= line.length;
    }
  };
  return {
    write: (event) => {
      const line = `${JSON.stringify(event)}\n`;
      if (pending + line.length > maxPending) {
        if (dropped++ === 0) deps.log.error('the audit log is too slow: events are dropped');
        return;
      }
      if (dropped > 0 && pending === 0) {
        deps.log.warn('audit events were dropped', { count: dropped });
        dropped = 0;
      }
      pending += line.length;
      queue = queue.then(() => append(line));
    },
    close: async () => {
      await queue;
      await new Promise<void>((resolve) => {
        stream.end(() => resolve());
      });
    },
  };
}
