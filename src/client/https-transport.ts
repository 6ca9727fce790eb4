/** A KubeTransport over HTTPS (HTTP/2): what agents and tools use. */
import { readFile } from 'node:fs/promises';
import { type ClientHttp2Stream, constants, type OutgoingHttpHeaders } from 'node:http2';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { statusErrorFrom, unreachable } from '#kube/status-answer.ts';
import { StatusError } from '#kube/status-error.ts';
import { backoffMs } from '#lib/backoff.ts';
import { deepFreeze } from '#lib/freeze.ts';
import type { Clock } from '#platform/clock.ts';
import type { Random } from '#platform/random.ts';
import type { KubeTransport, TransportRequest } from './contract.ts';
import { createH2Connection, type H2Connection, type H2ConnectionOptions } from './h2-connection.ts';

export interface HttpsTransportOptions extends H2ConnectionOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly userAgent: string;
  /** Asked for every request; see tokenFromFile. */
  readonly bearerToken?: () => Promise<string>;
  /** For requests that are no watches. Default 60 s. */
  readonly requestTimeoutMs?: number;
  /** Larger answers are refused. Default 256 MiB. */
  readonly maxBodyBytes?: number;
  /** Larger watch events are refused. Default 16 MiB. */
  readonly maxLineBytes?: number;
}

export interface HttpsTransport extends KubeTransport {
  /** Makes later requests use a new connection, with the certificates of now. */
  readonly renew: () => void;
  readonly close: () => void;
}

interface Answer extends Head {
  readonly body: string;
}

const maxAttempts = 10;
const maxConnectAttempts = 3;
const retry = { baseMs: 100, maxMs: 5000, jitter: 0.5 };

export function createHttpsTransport(options: HttpsTransportOptions): HttpsTransport {
  const { clock, random } = options;
  const connection = createH2Connection(options);
  const headersFor = async (method: string, path: string, accept = 'application/json'): Promise<OutgoingHttpHeaders> => ({
    ':method': method,
    ':path': path,
    accept,
    'user-agent': options.userAgent,
    ...(options.bearerToken === undefined ? {} : { authorization: `Bearer ${await options.bearerToken()}` }),
  });
  const pause = (attempt: number, signal: AbortSignal | undefined, atLeastMs = 0) =>
    clock.sleep(Math.max(atLeastMs, backoffMs(attempt, retry, random.fraction())), signal);

  const call = async (request: TransportRequest): Promise<unknown> => {
    let connectFailures = 0;
    for (let attempt = 1; ; attempt++) {
      request.signal?.throwIfAborted();
      let answer: Answer;
      try {
        answer = await exchange(connection, options, request, await headersFor(request.method, request.path, request.accept));
      } catch (error) {
        if (request.signal?.aborted === true || !(error instanceof Broken) || !error.repeatable) throw unwrap(error);
        if (++connectFailures >= maxConnectAttempts) throw unwrap(error);
        await pause(connectFailures, request.signal);
        continue;
      }
      if (answer.retryAfterMs !== undefined && (answer.status === 429 || answer.status === 503) && attempt < maxAttempts) {
        await pause(1, request.signal, answer.retryAfterMs);
        continue;
      }
      const body = parse(answer.body);
      if (answer.status >= 300) throw statusErrorFrom(body, answer.status);
      return deepFreeze(body);
    }
  };

  return {
    call,
    watch: async function* watch(path, signal) {
      const headers = await headersFor('GET', path);
      const stream = await openStream(connection, headers, signal);
      try {
        const head = await responseOf(stream, options.clock, options.requestTimeoutMs ?? 60_000);
        if (head.status !== 200) throw statusErrorFrom(parse(await readBody(stream, head, options)), head.status);
        yield* frames(stream, options.maxLineBytes ?? 16 * 1024 * 1024);
      } catch (error) {
        throw signal.aborted ? signal.reason : unwrap(error);
      } finally {
        stream.close(constants.NGHTTP2_CANCEL);
      }
    },
    renew: connection.renew,
    close: connection.close,
  };
}

/** A bearer token kept in a file that is renewed by somebody else (projected service-account tokens): read again every minute. */
export function tokenFromFile(path: string, clock: Clock): () => Promise<string> {
  let token = '';
  let readAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (clock.monotonic() - readAt < 60_000) return token;
    token = (await readFile(path, 'utf8')).trim();
    readAt = clock.monotonic();
    return token;
  };
}

/** The connection failed. `repeatable`: the server cannot have acted on the request. */
class Broken extends Error {
  readonly repeatable: boolean;

  constructor(cause: unknown, repeatable: boolean) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.repeatable = repeatable;
  }
}

function unwrap(error: unknown): unknown {
  if (error instanceof StatusError) return error;
  const cause = error instanceof Broken ? error.cause : error;
  if (cause instanceof StatusError) return cause;
  return unreachable(`the connection to the server broke: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
}

async function openStream(
  connection: H2Connection,
  headers: OutgoingHttpHeaders,
  signal: AbortSignal | undefined,
  endStream = true,
): Promise<ClientHttp2Stream> {
  try {
    const session = await connection.session();
    signal?.throwIfAborted();
    const stream = session.request(headers, { endStream, ...(signal === undefined ? {} : { signal }) });
    // Errors reach whoever awaits the response or the body; this keeps one that comes between from being unhandled.
    stream.on('error', () => undefined);
    return stream;
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason;
    throw new Broken(error, true);
  }
}

async function exchange(
  connection: H2Connection,
  options: HttpsTransportOptions,
  request: TransportRequest,
  headers: OutgoingHttpHeaders,
): Promise<Answer> {
  const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
  const typed = body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json', 'content-length': body.length };
  const stream = await openStream(connection, { ...headers, 'accept-encoding': 'gzip', ...typed }, request.signal, body === undefined);
  const limit = options.clock.after(options.requestTimeoutMs ?? 60_000, () => stream.destroy(new Error('the request timed out')));
  try {
    if (body !== undefined) stream.end(body);
    const head = await responseOf(stream);
    return { ...head, body: await readBody(stream, head, options) };
  } catch (error) {
    if (request.signal?.aborted === true) throw request.signal.reason;
    if (error instanceof StatusError) throw error;
    throw new Broken(error, request.method === 'GET' || stream.rstCode === constants.NGHTTP2_REFUSED_STREAM);
  } finally {
    limit.cancel();
    stream.close();
  }
}

interface Head {
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  readonly zipped: boolean;
}

function responseOf(stream: ClientHttp2Stream, clock?: Clock, limitMs = 0): Promise<Head> {
  return new Promise((resolve, reject) => {
    const limit = clock?.after(limitMs, () => stream.destroy(new Error('the request timed out')));
    stream.once('response', (headers) => {
      limit?.cancel();
      const after = Number(headers['retry-after']);
      resolve({
        status: headers[':status'] ?? 0,
        retryAfterMs: Number.isFinite(after) && after >= 0 ? after * 1000 : undefined,
        zipped: headers['content-encoding'] === 'gzip',
      });
    });
    stream.once('error', (error) => {
      limit?.cancel();
      reject(error);
    });
    stream.once('close', () => {
      limit?.cancel();
      reject(new Error('the server closed the stream'));
    });
  });
}

async function readBody(stream: ClientHttp2Stream, head: Head, options: HttpsTransportOptions): Promise<string> {
  const max = options.maxBodyBytes ?? 256 * 1024 * 1024;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > max) throw new StatusError('InternalError', `the answer is larger than ${max} bytes`);
    chunks.push(chunk);
  }
  const whole = Buffer.concat(chunks);
  if (!head.zipped) return whole.toString('utf8');
  return (await promisify(gunzip)(whole, { maxOutputLength: max })).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

interface Frame {
  readonly type: string;
  readonly object: unknown;
}

/** Watch frames are lines of JSON. */
async function* frames(stream: ClientHttp2Stream, maxLineBytes: number): AsyncGenerator<Frame> {
  let pending: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      pending.push(chunk.subarray(start, end));
      const line = (pending.length === 1 ? (pending[0] as Buffer) : Buffer.concat(pending)).toString('utf8');
      pending = [];
      size = 0;
      start = end + 1;
      if (line !== '') yield decode(line);
    }
    size += chunk.length - start;
    if (size > maxLineBytes) throw new StatusError('InternalError', `a watch event is larger than ${maxLineBytes} bytes`);
    if (start < chunk.length) pending.push(chunk.subarray(start));
  }
}

function decode(line: string): Frame {
  const frame: unknown = JSON.parse(line);
  if (typeof frame !== 'object' || frame === null || !('type' in frame) || typeof frame.type !== 'string' || !('object' in frame))
    throw new StatusError('InternalError', 'the server sent a watch event without type and object');
  return deepFreeze({ type: frame.type, object: frame.object });
}
