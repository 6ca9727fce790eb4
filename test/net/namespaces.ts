/** Network namespaces for a test, with a small worker process in each: listens, connects and asks as it is told. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';

export interface Worker {
  readonly name: string;
  readonly netns: string;
  readonly ask: <T>(command: string, args?: Readonly<Record<string, unknown>>) => Promise<T>;
  readonly stop: () => Promise<void>;
}

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

export const sh = (file: string, ...args: readonly string[]): string =>
  execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
export const inside = (netns: string, file: string, ...args: readonly string[]): string =>
  sh('nsenter', `--net=/run/netns/${netns}`, file, ...args);

/** Runs a script of this directory in a namespace, talking over the IPC channel. */
export function startWorker(name: string, netns: string, script: string): Worker {
  const child: ChildProcess = spawn('nsenter', [`--net=/run/netns/${netns}`, process.execPath, join(import.meta.dirname, script)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const waiting = new Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }>();
  let next = 0;
  const exited = new Promise<void>((resolve) => {
    child.on('exit', () => {
      for (const w of waiting.values()) w.reject(new Error(`worker ${name} has ended`));
      waiting.clear();
      resolve();
    });
  });
  child.on('message', (message) => {
    const reply = message as Reply;
    const w = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (reply.error === undefined) w?.resolve(reply.result);
    else w?.reject(new Error(`${name}: ${reply.error}`));
  });
  return {
    name,
    netns,
    ask: <T>(command: string, args: Readonly<Record<string, unknown>> = {}) =>
      new Promise<T>((resolve, reject) => {
        const id = next++;
        waiting.set(id, { resolve: (v) => resolve(v as T), reject });
        child.send({ id, command, args });
      }),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await exited;
    },
  };
}

/** The other end, inside the worker. */
export function serveCommands(commands: Readonly<Record<string, (args: Readonly<Record<string, never>>) => unknown>>): void {
  process.on('message', (message) => {
    const { id, command, args } = message as { id: number; command: string; args: Readonly<Record<string, never>> };
    const handler = commands[command];
    Promise.resolve()
      .then(() => (handler === undefined ? Promise.reject(new Error(`no command ${command}`)) : handler(args)))
      .then(
        (result) => process.send?.({ id, result }),
        (error: unknown) => process.send?.({ id, error: error instanceof Error ? `${error.message}` : String(error) }),
      );
  });
  process.on('disconnect', () => process.exit(0));
}
