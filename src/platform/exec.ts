import { spawn } from 'node:child_process';

export interface ExecOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** More output than this ends the command with an error. Default 16 MiB. */
  readonly maxBytes?: number;
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** Says which command failed, how, and what it printed. `code` is its exit code, or undefined when it never ran or was killed. */
export class ExecError extends Error {
  readonly command: string;
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;

  constructor(command: string, code: number | undefined, stdout: string, stderr: string, why: string) {
    super(`${command}: ${why}${stderr === '' ? '' : `: ${stderr.trim().slice(-2000)}`}`);
    this.name = 'ExecError';
    this.command = command;
    this.code = code;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

/** Runs a program to its end; rejects with ExecError unless it exits with 0. */
export type Exec = (file: string, args: readonly string[], options?: ExecOptions) => Promise<ExecResult>;

export const realExec: Exec = (file, args, options = {}) =>
  new Promise((resolve, reject) => {
    const command = [file, ...args].join(' ');
    const child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.env === undefined ? {} : { env: { ...process.env, ...options.env } }),
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: 'SIGKILL' as const }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const max = options.maxBytes ?? 16 * 1024 * 1024;
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let size = 0;
    let failure = '';
    const collect = (into: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size > max) {
        failure = `more than ${max} bytes of output`;
        child.kill('SIGKILL');
      } else into.push(chunk);
    };
    child.stdout.on('data', collect(out));
    child.stderr.on('data', collect(err));
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => reject(new ExecError(command, undefined, '', '', error.message)));
    child.on('close', (code, signal) => {
      const stdout = Buffer.concat(out).toString('utf8');
      const stderr = Buffer.concat(err).toString('utf8');
      if (code === 0 && failure === '') resolve({ stdout, stderr });
      else
        reject(
          new ExecError(
            command,
            code ?? undefined,
            stdout,
            stderr,
            failure || (code === null ? `ended by ${signal}` : `exit code ${code}`),
          ),
        );
    });
    child.stdin.end(options.input ?? '');
  });
