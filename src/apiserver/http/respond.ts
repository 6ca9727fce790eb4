/** Sends a response of the core over HTTP/1.1 or HTTP/2. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { protobufMedia } from '#kube/protobuf.ts';
import { StatusError, toStatus } from '#kube/status-error.ts';
import type { ApiRequest, ApiResponse } from '../contract.ts';
import type { EncodedCache } from './encoded.ts';
import { frameWriter } from './frames.ts';
import { negotiate, type Representation } from './negotiate.ts';
import { hasProtobuf, type Renderable, type RenderContext, type Rendered, render } from './render.ts';

export type RawResponse = ServerResponse | Http2ServerResponse;

/** Bodies above this are compressed for clients that ask for it: upstream's threshold. */
const gzipFrom = 128 * 1024;
/** A watcher whose connection has taken nothing for this long is cut off. */
const stalledMs = 60_000;
/** Frames of a watch that are put together into one write. */
const watchChunkBytes = 64 * 1024;

const plainRepresentation: Representation = { media: 'application/json', as: undefined, asVersion: '' };

/** A RFC 7234 warning with code 299, as Kubernetes writes it. */
export const warningHeader = (text: string): string => `299 - ${JSON.stringify(text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 4096))}`;

/** Programs whose users read the answer: upstream prints it for them (responsewriters isPrettyPrint). */
const people = /^(?:curl|Wget|Mozilla\/5\.0)/;

function contextOf(request: ApiRequest, response: ApiResponse): RenderContext {
  const { query, headers } = request;
  const pretty = query.get('pretty');
  return {
    representation: isFailure(response) ? failureRepresentation(headers['accept']) : negotiate(headers['accept'], hasProtobuf(response)),
    pretty: pretty === null || pretty === '' ? people.test(headers['user-agent'] ?? '') : pretty === 'true' || pretty === '1',
    now: new Date(),
    includeObject: query.get('includeObject') ?? '',
  };
}

const isFailure = (response: ApiResponse): boolean => response.type === 'object' && response.status >= 400;

/** Errors are sent as protobuf to who asks for it, and as JSON to everybody else, whatever they accept. */
function failureRepresentation(accept: string | undefined): Representation {
  return accept?.startsWith(protobufMedia) === true ? { ...plainRepresentation, media: protobufMedia } : plainRepresentation;
}

type Headers = Record<string, string | string[]>;

function headersOf(response: ApiResponse, contentType: string): Headers {
  return {
    'cache-control': 'no-cache, private',
    'content-type': contentType,
    ...(response.warnings === undefined ? {} : { warning: response.warnings.map(warningHeader) }),
    ...response.headers,
  };
}

const http2 = (raw: RawResponse): raw is Http2ServerResponse => 'stream' in raw;

function writeHead(raw: RawResponse, status: number, headers: Headers): void {
  if (http2(raw)) raw.writeHead(status, headers);
  else raw.writeHead(status, headers);
}

function writeChunk(raw: RawResponse, chunk: Uint8Array): boolean {
  return http2(raw) ? raw.write(chunk) : raw.write(chunk);
}

/** Sends `response`; resolves when it has gone out or the client has left. An answer that cannot be rendered becomes a Status. */
export async function respond(raw: RawResponse, request: ApiRequest, response: ApiResponse, encoded: EncodedCache): Promise<void> {
  switch (response.type) {
    case 'entry':
    case 'object':
    case 'list':
      await sendRendered(raw, request, response, encoded);
      return;
    case 'bytes': {
      const body = typeof response.body === 'string' ? Buffer.from(response.body) : response.body;
      await sendBody(raw, request, headersOf(response, response.contentType), {
        status: response.status,
        length: body.length,
        body: [body],
      });
      return;
    }
    case 'watch':
      await sendWatch(raw, request, response, encoded);
      return;
    case 'stream':
      writeHead(raw, response.status, headersOf(response, response.contentType));
      await pipeline(response.stream, raw).catch(() => response.stream.destroy());
      return;
    case 'upgrade': {
      const status = toStatus(new StatusError('BadRequest', 'Upgrade request required'));
      await sendRendered(raw, request, { type: 'object', status: 400, object: status }, encoded);
      return;
    }
  }
}

async function sendRendered(raw: RawResponse, request: ApiRequest, response: Renderable, encoded: EncodedCache): Promise<void> {
  try {
    const rendered = await render(response, contextOf(request, response), encoded, request.signal);
    await sendBody(raw, request, headersOf(response, rendered.contentType), rendered);
  } catch (error) {
    if (request.signal.aborted) return;
    if (!(error instanceof StatusError) || raw.headersSent) throw error;
    const body = Buffer.from(`${JSON.stringify(toStatus(error))}\n`);
    await sendBody(raw, request, headersOf(response, 'application/json'), { status: error.code, length: body.length, body: [body] });
  }
}

type Body = Pick<Rendered, 'status' | 'length' | 'body'>;

async function sendBody(raw: RawResponse, request: ApiRequest, headers: Headers, { status, length, body }: Body): Promise<void> {
  if (length > gzipFrom && /\bgzip\b/.test(request.headers['accept-encoding'] ?? '') && request.method === 'GET') {
    writeHead(raw, status, { ...headers, 'content-encoding': 'gzip', vary: 'accept-encoding' });
    await pipeline(Readable.from(body), createGzip({ level: 1 }), raw).catch(() => undefined);
    return;
  }
  writeHead(raw, status, { ...headers, 'content-length': String(length) });
  if (Array.isArray(body) && body.length === 1) {
    raw.end(body[0]);
    return;
  }
  for (const piece of body) {
    if (raw.destroyed) return;
    if (!writeChunk(raw, piece)) await drained(raw, request.signal);
  }
  raw.end();
}

/** Waits until the client has taken what was written; resolves also when it has left. */
async function drained(raw: RawResponse, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(stalledMs)]);
  await once(raw, 'drain', { signal: limit }).catch(() => {
    raw.destroy();
  });
}

async function sendWatch(raw: RawResponse, request: ApiRequest, response: Extract<ApiResponse, { type: 'watch' }>, encoded: EncodedCache) {
  let context: RenderContext;
  try {
    context = contextOf(request, response);
    if (context.representation.media === 'application/yaml') throw notWatchable();
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    await sendRendered(raw, request, { type: 'object', status: error.code, object: toStatus(error) }, encoded);
    return;
  }
  const write = frameWriter(response.def, context, encoded);
  const { media } = context.representation;
  writeHead(raw, 200, headersOf(response, media === protobufMedia ? `${protobufMedia};stream=watch` : media));
  if (!http2(raw)) raw.flushHeaders();
  for await (const message of response.messages) {
    if (raw.destroyed) return;
    for (const chunk of chunksOf(write(message))) {
      if (!writeChunk(raw, chunk)) await drained(raw, request.signal);
      if (raw.destroyed || request.signal.aborted) break;
    }
    if (raw.destroyed || request.signal.aborted) break;
  }
  raw.end();
}

/**
 * Small frames together, so that they go out in one write; a frame that is itself large as it is, since all watchers share its
 * bytes. What a slow watcher holds in memory of its own is so no more than one chunk.
 */
function* chunksOf(frames: readonly Buffer[]): Generator<Buffer> {
  let together: Buffer[] = [];
  let size = 0;
  for (const frame of frames) {
    if (size + frame.length > watchChunkBytes && together.length > 0) {
      yield joined(together, size);
      together = [];
      size = 0;
    }
    together.push(frame);
    size += frame.length;
  }
  if (together.length > 0) yield joined(together, size);
}

const joined = (frames: readonly Buffer[], size: number): Buffer =>
  frames.length === 1 && frames[0] !== undefined ? frames[0] : Buffer.concat(frames, size);

const notWatchable = (): StatusError =>
  new StatusError('NotAcceptable', 'only the following media types are accepted: application/json;stream=watch');
