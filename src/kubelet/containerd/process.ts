/**
 * One containerd process that outlives us: started detached, found again by its pid file after k3ts was killed, and
 * started anew when it ends or when its configuration changed. Its shims, and with them all containers, go on meanwhile.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';

export interface ProcessSettings {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Content of the configuration: another one means that a running process must be replaced. */
  readonly fingerprint: string;
  readonly pidFile: string;
  readonly logFile: string;
  readonly socket: string;
}

interface PidRecord {
  readonly pid: number;
  /** From /proc/<pid>/stat: tells a process from a later one with the same number. */
  readonly startTicks: string;
  readonly fingerprint: string;
}

const maxLogBytes = 10 * 1024 * 1024;

async function startTicks(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended already.
  return fields[0] === 'Z' ? undefined : fields[19];
}

/** Keeps the log bounded. The writer appends, so truncating under it is safe. */
async function rotateLog(file: string): Promise<void> {
  const size = await stat(file).then(
    (s) => s.size,
    () => 0,
  );
  if (size < maxLogBytes) return;
  await copyFile(file, `${file}.1`);
  await truncate(file, 0);
}

export interface OutlivingProcess {
  readonly pid: number;
  readonly adopted: boolean;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
}

const fingerprintOf = (s: ProcessSettings): string =>
  createHash('sha256')
    .update(JSON.stringify([s.program, s.args, s.fingerprint]))
    .digest('hex');

async function findRunning(s: ProcessSettings): Promise<PidRecord | undefined> {
  const text = await readFile(s.pidFile, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  let record: PidRecord;
  try {
    record = JSON.parse(text) as PidRecord;
  } catch {
    return undefined;
  }
  const ticks = await startTicks(record.pid);
  return ticks !== undefined && ticks === record.startTicks ? record : undefined;
}

/** Ends a process with SIGTERM, then SIGKILL after ten seconds. */
export async function endProcess(pid: number, clock: Clock): Promise<void> {
  const ticks = await startTicks(pid);
  for (let waited = 0; ticks !== undefined && (await startTicks(pid)) === ticks; waited += 50) {
    if (waited === 0) process.kill(pid, 'SIGTERM');
    if (waited === 10_000) process.kill(pid, 'SIGKILL');
    await clock.sleep(50);
  }
}

/** Resolves when a process that is not our child has ended: it holds the other end of a socket as long as it lives. */
async function awaitEnd(record: PidRecord, socket: string, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await startTicks(record.pid)) === record.startTicks) {
    await new Promise<void>((resolve) => {
      const connection = connect(socket);
      const done = (): void => {
        signal.removeEventListener('abort', done);
        connection.destroy();
        resolve();
      };
      connection.unref();
      // Its end is only seen by reading.
      connection.resume();
      connection.once('close', done).once('error', done);
      signal.addEventListener('abort', done, { once: true });
    });
    await clock.sleep(500, signal).catch(() => undefined);
  }
}

async function startNew(s: ProcessSettings): Promise<OutlivingProcess> {
  await mkdir(dirname(s.pidFile), { recursive: true });
  await mkdir(dirname(s.logFile), { recursive: true });
  await rotateLog(s.logFile);
  await rm(s.socket, { force: true });
  const log = openSync(s.logFile, 'a', 0o600);
  // Layers are unpacked with the umask of containerd: what containers may read must not depend on ours.
  const child = spawn('/bin/sh', ['-c', 'umask 022; exec "$0" "$@"', s.program, ...s.args], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...s.env },
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  child.unref();
  const pid = child.pid ?? 0;
  const record: PidRecord = { pid, startTicks: (await startTicks(pid)) ?? '', fingerprint: fingerprintOf(s) };
  await writeFile(s.pidFile, JSON.stringify(record), { mode: 0o600 });
  return { pid, adopted: false, ended };
}

/** Takes over the process of the pid file when it still runs with the same configuration; starts one otherwise. */
export async function adoptOrStart(
  s: ProcessSettings,
  deps: { readonly clock: Clock; readonly log: Logger; readonly signal: AbortSignal },
): Promise<OutlivingProcess> {
  const running = await findRunning(s);
  if (running === undefined) return startNew(s);
  if (running.fingerprint !== fingerprintOf(s)) {
    deps.log.info('restarting containerd with its new configuration; containers go on', { pid: running.pid });
    await endProcess(running.pid, deps.clock);
    return startNew(s);
  }
  await rotateLog(s.logFile);
  return { pid: running.pid, adopted: true, ended: awaitEnd(running, s.socket, deps.clock, deps.signal) };
}

export { rotateLog as rotateProcessLog };
