/**
 * Reads long bodies of YAML in a thread of its own: the parser takes some 10 µs for each key, during which nothing else would be
 * answered. The thread is started when one comes and ended when none has come for a while.
 */
import type { Worker } from 'node:worker_threads';
import { BodySyntaxError, isLongYaml, type ParsedBody } from '#kube/parse-body.ts';
import { StatusError } from '#kube/status-error.ts';
import { parseExact } from '#lib/exact-json.ts';
import type { Clock, Timer } from '#platform/clock.ts';

/** What a body came to: the value and what there is to say of it, or why it is none, for whoever asks for it. */
export type ReadBody = ParsedBody | BodySyntaxError;

export interface YamlReader {
  /** Undefined for bodies that are short enough to be read where they are needed. Rejects with StatusError TooManyRequests. */
  readonly read: (body: Uint8Array, signal: AbortSignal) => Promise<ReadBody> | undefined;
  readonly close: () => Promise<void>;
}

/** What the thread answers: JSON, in which long integers keep their digits. */
export type YamlAnswer = { readonly json: Uint8Array; readonly duplicates: readonly string[] } | { readonly problem: string };

export interface YamlReaderDeps {
  readonly startThread: () => Worker;
  readonly clock: Clock;
}

/** More that wait are refused: each holds up to 3 MB. */
const maxWaiting = 32;
/** A thread that takes longer over one body is ended, with what it may have piled up. */
const patienceMs = 20_000;
const idleMs = 15_000;

interface Job {
  readonly body: Uint8Array;
  readonly done: (result: ReadBody) => void;
  readonly signal: AbortSignal;
}

const tooLong = (): BodySyntaxError =>
  new BodySyntaxError('error converting YAML to JSON: yaml: reading it takes too long or too much memory; send JSON');

export function createYamlReader({ startThread, clock }: YamlReaderDeps): YamlReader {
  const waiting: Job[] = [];
  let worker: Worker | undefined;
  let current: Job | undefined;
  let timer: Timer | undefined;

  const end = async (): Promise<void> => {
    const ending = worker;
    worker = undefined;
    timer?.cancel();
    await ending?.terminate();
  };
  const settle = (result: ReadBody): void => {
    timer?.cancel();
    const job = current;
    current = undefined;
    job?.done(result);
    next();
  };
  const start = (): Worker => {
    const made = startThread();
    const failed = (): void => {
      if (worker !== made) return;
      worker = undefined;
      settle(tooLong());
    };
    made.on('message', (answer: YamlAnswer) => {
      if (worker === made) settle(resultOf(answer));
    });
    // Out of memory, for instance: the thread is gone.
    made.on('error', failed);
    made.on('exit', failed);
    made.unref();
    return made;
  };
  const next = (): void => {
    current = waiting.shift();
    while (current?.signal.aborted === true) {
      current.done(tooLong());
      current = waiting.shift();
    }
    if (current === undefined) {
      timer = clock.after(idleMs, () => void end());
      return;
    }
    worker ??= start();
    worker.postMessage(current.body);
    timer = clock.after(patienceMs, () => {
      void end();
      settle(tooLong());
    });
  };
  return {
    read: (body, signal) => {
      if (!isLongYaml(body)) return undefined;
      if (waiting.length >= maxWaiting) return Promise.reject(busy());
      return new Promise((done) => {
        waiting.push({ body, done, signal });
        if (current !== undefined) return;
        timer?.cancel();
        next();
      });
    },
    close: end,
  };
}

const busy = (): StatusError =>
  new StatusError('TooManyRequests', 'too many long bodies of YAML are being read, please try again later', {
    details: { retryAfterSeconds: 1 },
  });

function resultOf(answer: YamlAnswer): ReadBody {
  if ('problem' in answer) return new BodySyntaxError(answer.problem);
  return { value: parseExact(Buffer.from(answer.json).toString('utf8')), duplicates: answer.duplicates };
}
