/** What an in-process caller gets of an answer that another server gave: read with limits, since that server may be anybody's. */
import type { Readable } from 'node:stream';
import { isObject, type JsonObject, own } from '#kube/json-value.ts';
import { statusErrorFrom } from '#kube/status-answer.ts';
import { StatusError } from '#kube/status-error.ts';
import type { ApiResponse } from './contract.ts';

type Passed = Extract<ApiResponse, { type: 'stream' }>;

const maxAnswerBytes = 32 * 1024 * 1024;
/** One event of a watch. */
const maxFrameBytes = 4 * 1024 * 1024;

const broken = (what: string): StatusError => new StatusError('ServiceUnavailable', `the answer of the aggregated API server ${what}`);

async function readAll(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxAnswerBytes) throw broken(`is larger than ${maxAnswerBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof StatusError ? error : broken(`broke off: ${error instanceof Error ? error.message : String(error)}`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw broken('is no JSON');
  }
}

const text = (object: JsonObject, key: string): string | undefined => {
  const value = own(object, key);
  return typeof value === 'string' ? value : undefined;
};

/** The error that a Status is; for another body the one that its code stands for. */
function failureOf(status: number, body: string): StatusError {
  try {
    return statusErrorFrom(JSON.parse(body), status);
  } catch {
    return statusErrorFrom(body, status);
  }
}

/** The object of an answer. Rejects with StatusError for a failure and for what cannot be read. */
export async function passedObject(response: Passed): Promise<unknown> {
  const body = await readAll(response.stream);
  if (response.status >= 400) throw failureOf(response.status, body);
  return response.contentType.includes('json') ? parse(body) : body;
}

/** The lines of a stream. */
async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let pieces: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      yield Buffer.concat([...pieces, chunk.subarray(from, end)]).toString('utf8');
      pieces = [];
      size = 0;
      from = end + 1;
    }
    pieces.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > maxFrameBytes) throw broken(`holds an event larger than ${maxFrameBytes} bytes`);
  }
}

/** The events of a watch. */
export async function* passedFrames(response: Passed): AsyncGenerator<{ readonly type: string; readonly object: unknown }> {
  if (response.status >= 400) throw failureOf(response.status, await readAll(response.stream));
  for await (const line of linesOf(response.stream)) {
    if (line.trim() === '') continue;
    const frame = parse(line);
    const type = isObject(frame) ? text(frame, 'type') : undefined;
    if (!isObject(frame) || type === undefined) throw broken('is no watch event');
    yield { type, object: own(frame, 'object') };
  }
}
