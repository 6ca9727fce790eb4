/** Runs a command in a container with its streams on one connection: the node's side of `kubectl exec`. */
import { constants, openSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import type { TaskClient } from '../containerd/tasks.ts';
import { channels, closeFrame, encodeFrame, FrameDecoder } from './frames.ts';

export interface ExecStreams {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface ExecDeps {
  readonly tasks: TaskClient;
  readonly exec: Exec;
  readonly log: Logger;
  /** For named pipes. */
  readonly runDir: string;
  readonly execId: string;
}

interface Pipes {
  readonly dir: string;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
}

async function makePipes(streams: ExecStreams, deps: ExecDeps): Promise<Pipes> {
  await mkdir(deps.runDir, { recursive: true, mode: 0o700 });
  const dir = await mkdtemp(join(deps.runDir, 'exec-'));
  // The shim wants both outputs or none; what nobody asked for is read and dropped.
  const path = (name: string, wanted: boolean): string => (wanted ? join(dir, name) : '');
  const pipes = {
    dir,
    stdin: path('stdin', streams.stdin),
    stdout: path('stdout', true),
    stderr: path('stderr', !streams.tty),
  };
  const names = [pipes.stdin, pipes.stdout, pipes.stderr].filter((p) => p !== '');
  if (names.length > 0) await deps.exec('mkfifo', ['-m', '0600', ...names], { timeoutMs: 5000 });
  return pipes;
}

function reader(path: string): Socket | undefined {
  if (path === '') return undefined;
  // Non-blocking: opening does not wait for the other end, and reading goes through the event loop.
  return new Socket({ fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), readable: true, writable: false });
}

function writer(path: string): Socket | undefined {
  if (path === '') return undefined;
  // Opened for reading too, since opening a pipe that nobody reads yet would fail.
  return new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK), readable: false, writable: true });
}

/** Status object that tells how the command ended: kubectl takes its own exit code from it. */
export function exitStatus(code: number): object {
  if (code === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

export const failureStatus = (message: string): object => ({
  metadata: {},
  status: 'Failure',
  message: `Internal error occurred: ${message}`,
  reason: 'InternalError',
  details: { causes: [{ message }] },
  code: 500,
});

/** Copies what the command prints; resolves at its end. */
function copyOut(from: Socket | undefined, channel: number, wanted: boolean, to: Duplex): Promise<void> {
  if (from === undefined) return Promise.resolve();
  if (!wanted) from.resume();
  return new Promise((resolve) => {
    from.on('data', (chunk: Buffer) => {
      if (!wanted || !to.writable || to.write(encodeFrame(channel, chunk))) return;
      // The reader is slow: the command waits, nothing piles up here.
      from.pause();
      to.once('drain', () => from.resume());
    });
    from.once('end', () => {
      if (wanted && to.writable) to.write(closeFrame(channel));
    });
    from.once('error', () => resolve());
    from.once('close', () => resolve());
    to.once('close', () => from.destroy());
  });
}

interface Incoming {
  readonly stdin: Socket | undefined;
  readonly closeStdin: () => void;
  readonly resize: (width: number, height: number) => void;
}

/** Feeds what comes from the user to the command. */
function copyIn(connection: Duplex, to: Incoming): void {
  const decoder = new FrameDecoder();
  connection.on('data', (chunk: Buffer) => {
    try {
      for (const frame of decoder.push(chunk)) take(frame.channel, frame.payload);
    } catch (error) {
      connection.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  });
  const take = (channel: number, payload: Buffer): void => {
    if (channel === channels.stdin && to.stdin?.writable === true) {
      if (to.stdin.write(payload)) return;
      connection.pause();
      to.stdin.once('drain', () => connection.resume());
      to.stdin.once('close', () => connection.resume());
    } else if (channel === channels.close && payload[0] === channels.stdin) to.closeStdin();
    else if (channel === channels.resize) {
      const size = JSON.parse(payload.toString('utf8')) as { readonly Width?: number; readonly Height?: number };
      if ((size.Width ?? 0) > 0 && (size.Height ?? 0) > 0) to.resize(size.Width ?? 0, size.Height ?? 0);
    }
  };
  connection.once('end', to.closeStdin);
}

/** Serves one command until it has ended and its output has been sent. Ends the connection. */
export async function serveExec(connection: Duplex, containerId: string, streams: ExecStreams, deps: ExecDeps): Promise<void> {
  const { tasks, log } = deps;
  const ref = { containerId, execId: deps.execId };
  const pipes = await makePipes(streams, deps);
  const gone = new AbortController();
  const [stdin, stdout, stderr] = [writer(pipes.stdin), reader(pipes.stdout), reader(pipes.stderr)];
  stdin?.on('error', () => undefined);
  let started = false;
  const end = (status: object): void => {
    if (connection.writable)
      connection.end(Buffer.concat([encodeFrame(channels.error, Buffer.from(JSON.stringify(status))), closeFrame(channels.error)]));
  };
  connection.once('close', () => {
    gone.abort(new Error('the user has gone'));
    if (started) tasks.kill(ref, 9).catch(() => undefined);
  });
  const closeStdin = (): void => {
    if (stdin === undefined || stdin.destroyed || stdin.writableEnded) return;
    stdin.end(() => {
      stdin.destroy();
      if (!streams.tty) tasks.closeStdin(ref).catch(() => undefined);
    });
  };
  const resize = (width: number, height: number): void => {
    if (streams.tty) tasks.resize(ref, width, height).catch((error: unknown) => log.debug('a terminal cannot be resized', { error }));
  };
  try {
    await tasks.exec({
      ...ref,
      command: streams.command,
      terminal: streams.tty,
      stdin: pipes.stdin,
      stdout: pipes.stdout,
      stderr: pipes.stderr,
    });
    const outputs = Promise.all([
      copyOut(stdout, channels.stdout, streams.stdout, connection),
      copyOut(stderr, channels.stderr, streams.stderr, connection),
    ]);
    const exited = tasks.wait(ref, gone.signal);
    exited.catch(() => undefined);
    await tasks.start(ref);
    started = true;
    copyIn(connection, { stdin, closeStdin, resize });
    const code = await exited;
    await outputs;
    end(exitStatus(code));
  } catch (error) {
    tasks.kill(ref, 9).catch(() => undefined);
    const why = error instanceof Error ? error.message : String(error);
    end(failureStatus(`error executing command in container: failed to exec in container: ${why}`));
  } finally {
    for (const socket of [stdin, stdout, stderr]) socket?.destroy();
    await tasks.remove(ref).catch(() => undefined);
    await rm(pipes.dir, { recursive: true, force: true });
  }
}
