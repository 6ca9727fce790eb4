/** The audit log: one event a line, in a file that is rotated. kube-apiserver's --audit-log-* flags. */
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { type LineEvent, legacyLine } from './legacy-format.ts';
import type { AuditBackend, AuditFigures } from './sink.ts';

export interface AuditLogOptions {
  readonly path: string;
  /** Megabytes after which a new file is begun. Default 100, upstream's. */
  readonly maxSizeMb?: number;
  /** How many old files are kept; 0: all. */
  readonly maxBackups?: number;
  /** Days for which old files are kept; 0: for ever. */
  readonly maxAgeDays?: number;
  /** Default 'json'. */
  readonly format?: 'json' | 'legacy';
}

const dayMs = 24 * 3600 * 1000;

/** Complaints about the disk are told once in this time. */
const complainEveryMs = 60_000;

const stemOf = (path: string): string => basename(path, extname(path));

/** lumberjack's name for an old file: the time stands before the extension. */
const backupName = (path: string, at: number): string =>
  `${stemOf(path)}-${new Date(at).toISOString().replace('Z', '').replaceAll(':', '-')}${extname(path)}`;

/** When a file was put aside; undefined for files that are none of ours. */
function timeOf(name: string, path: string): number | undefined {
  const [, date, h, m, s] =
    /^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2}\.\d{3})$/.exec(name.slice(stemOf(path).length + 1, -extname(path).length || undefined)) ??
    [];
  return name.startsWith(`${stemOf(path)}-`) && date !== undefined ? Date.parse(`${date}T${h}:${m}:${s}Z`) : undefined;
}

async function removeOld(options: AuditLogOptions, now: number): Promise<void> {
  const folder = dirname(options.path);
  const old = (await readdir(folder))
    .map((name) => ({ name, at: timeOf(name, options.path) }))
    .filter((f): f is { name: string; at: number } => f.at !== undefined)
    .sort((a, b) => b.at - a.at);
  const keep = options.maxBackups ?? 0;
  const age = (options.maxAgeDays ?? 0) * dayMs;
  for (const [i, { name, at }] of old.entries())
    if ((keep > 0 && i >= keep) || (age > 0 && now - at > age)) await rm(join(folder, name), { force: true });
}

export interface AuditLogDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly figures: Pick<AuditFigures, 'failed'>;
}

/** The file as it is now. */
interface OpenFile {
  readonly stream: WriteStream;
  readonly size: number;
}

async function openFile(path: string): Promise<OpenFile> {
  const stream = await new Promise<WriteStream>((resolve, reject) => {
    const made = createWriteStream(path, { flags: 'a', mode: 0o600 });
    made.once('open', () => resolve(made));
    made.once('error', reject);
  });
  stream.on('error', () => undefined);
  return { stream, size: (await stat(path)).size };
}

/** Rejects when the file cannot be opened. */
export async function openAuditLog(options: AuditLogOptions, deps: AuditLogDeps): Promise<AuditBackend> {
  const { clock, log, figures } = deps;
  const limit = (options.maxSizeMb ?? 100) * 1024 * 1024;
  await mkdir(dirname(options.path), { recursive: true, mode: 0o700 });
  let file: OpenFile | undefined = await openFile(options.path);
  let { size } = file;
  let lastBackup = 0;
  let complainedAt = Number.NEGATIVE_INFINITY;
  let queue: Promise<void> = removeOld(options, clock.now()).catch(() => undefined);

  const fail = (events: number, error: unknown): void => {
    figures.failed('log', events);
    if (clock.monotonic() - complainedAt < complainEveryMs) return;
    complainedAt = clock.monotonic();
    log.error('the audit log cannot be written', { error });
  };
  const lineOf =
    options.format === 'legacy' ? (event: object) => legacyLine(event as LineEvent) : (event: object) => `${JSON.stringify(event)}\n`;
  const closeFile = async (): Promise<void> => {
    const { stream } = file ?? {};
    file = undefined;
    await new Promise<void>((resolve) => {
      if (stream === undefined || stream.destroyed) resolve();
      else stream.end(() => resolve());
    });
  };
  const current = async (): Promise<OpenFile> => {
    if (file === undefined || file.stream.destroyed) {
      file = await openFile(options.path);
      ({ size } = file);
    }
    return file;
  };
  const rotate = async (): Promise<void> => {
    await closeFile();
    // Two files put aside in the same millisecond have different names.
    lastBackup = Math.max(clock.now(), lastBackup + 1);
    await rename(options.path, join(dirname(options.path), backupName(options.path, lastBackup)));
    await removeOld(options, clock.now());
  };
  const append = async (line: Buffer): Promise<void> => {
    await current();
    if (size > 0 && size + line.length > limit) await rotate();
    const { stream } = await current();
    size += line.length;
    await new Promise<void>((resolve, reject) => {
      stream.write(line, (error) => (error instanceof Error ? reject(error) : resolve()));
    });
  };
  const appendAll = async (events: readonly object[]): Promise<boolean> => {
    let written = 0;
    try {
      for (const event of events) {
        await append(Buffer.from(lineOf(event)));
        written++;
      }
      return true;
    } catch (error) {
      fail(events.length - written, error);
      return false;
    }
  };
  return {
    process: async (events) => {
      const turn = queue.then(() => appendAll(events));
      queue = turn.then(() => undefined);
      return await turn;
    },
    close: async () => {
      await queue;
      await closeFile();
    },
  };
}
