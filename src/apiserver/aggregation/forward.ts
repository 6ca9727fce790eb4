/** A client's request passed on to the server behind an APIService: kube-aggregator pkg/apiserver/handler_proxy.go. */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { badRequest, StatusError } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { ApiRequest, ApiResponse } from '../contract.ts';
import { passUpgrade } from '../subresources/proxy-http.ts';
import { answeredHeaders, forwardedHeaders } from './headers.ts';
import { requestOver } from './target.ts';

export interface Way {
  /** host:port for the Host header. */
  readonly host: string;
  /** Over a connection that may have been used before. */
  readonly request: (options: RequestOptions) => ClientRequest;
  /** A connection of its own. */
  readonly connect: (signal: AbortSignal) => Promise<TLSSocket>;
}

export interface ForwardOptions {
  readonly clock: Clock;
  /** How long a request that is no watch or stream may take, its answer included. */
  readonly timeoutMs: number;
  readonly longRunning: boolean;
}

const unreachable = (error: unknown): StatusError =>
  new StatusError('ServiceUnavailable', `error trying to reach service: ${error instanceof Error ? error.message : String(error)}`);

/**
 * The path as it is sent on. What another server might read as another path than the one that was authorized here (dots,
 * escaped slashes) is refused. Throws StatusError BadRequest.
 */
export function forwardedPath(request: Pick<ApiRequest, 'path' | 'query'>): string {
  const segments = request.path.split('/').filter((s) => s !== '');
  for (const segment of segments) {
    let decoded: string;
    try {
      decoded = decodeURIComponent(segment);
    } catch {
      throw badRequest(`invalid URL escape in "${segment.slice(0, 80)}"`);
    }
    if (decoded === '.' || decoded === '..' || /[/\\\0]/.test(decoded)) throw badRequest('the path cannot be passed on');
  }
  const query = request.query.toString();
  const end = request.path.endsWith('/') && segments.length > 0 ? '/' : '';
  return `/${segments.join('/')}${end}${query === '' ? '' : `?${query}`}`;
}

/** Sends the body as it comes in; what the other side no longer takes is thrown away. */
function sendBody(request: ApiRequest, outgoing: ClientRequest): void {
  const { bodyStream } = request;
  if (bodyStream === undefined) {
    outgoing.end(request.object === undefined ? request.body : JSON.stringify(request.object));
    return;
  }
  const gone = (): void => {
    if (!bodyStream.readableEnded) outgoing.destroy(new Error('the client went away before the body was complete'));
  };
  bodyStream.on('error', gone).on('close', gone).on('aborted', gone);
  outgoing.on('close', () => {
    bodyStream.unpipe(outgoing);
    bodyStream.resume();
  });
  bodyStream.pipe(outgoing);
}

function bodyHeaders(request: ApiRequest): Record<string, string> {
  if (request.bodyStream !== undefined) {
    const length = request.headers['content-length'];
    return length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': length };
  }
  const length = request.object === undefined ? (request.body?.length ?? 0) : Buffer.byteLength(JSON.stringify(request.object));
  if (length === 0 && (request.method === 'GET' || request.method === 'HEAD' || request.method === 'DELETE')) return {};
  return { 'content-length': String(length) };
}

function answerTo(request: ApiRequest, outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('close', () => reject(new Error('the connection was closed before there was an answer')));
    outgoing.on('upgrade', (_message, socket) => {
      socket.destroy();
      reject(new Error('the server switched protocols without being asked'));
    });
    outgoing.on('response', (message) => {
      const status = message.statusCode ?? 0;
      if (status >= 200 && status <= 599) resolve(message);
      else {
        outgoing.destroy();
        reject(new Error(`the server answered with status ${status}`));
      }
    });
    sendBody(request, outgoing);
  });
}

function limitTime(request: ApiRequest, outgoing: ClientRequest, { clock, timeoutMs, longRunning }: ForwardOptions): void {
  const abort = (): void => {
    outgoing.destroy(request.signal.reason instanceof Error ? request.signal.reason : new Error('context canceled'));
  };
  request.signal.addEventListener('abort', abort, { once: true });
  const timer = longRunning ? undefined : clock.after(timeoutMs, () => outgoing.destroy(new Error('context deadline exceeded')));
  outgoing.on('close', () => {
    timer?.cancel();
    request.signal.removeEventListener('abort', abort);
  });
  if (request.signal.aborted) abort();
}

/** Rejects with StatusError ServiceUnavailable where there is no answer. Redirects are the client's to follow. */
export async function forward(request: ApiRequest, way: Way, options: ForwardOptions): Promise<ApiResponse> {
  const path = forwardedPath(request);
  try {
    const type =
      request.object === undefined || request.headers['content-type'] !== undefined ? {} : { 'content-type': 'application/json' };
    const headers = { ...forwardedHeaders(request, way.host), ...type, ...bodyHeaders(request) };
    const parts = { method: request.method, path, headers };
    if (request.upgrade === true) {
      const outgoing = requestOver(await way.connect(request.signal), parts);
      request.signal.addEventListener('abort', () => outgoing.destroy(), { once: true });
      outgoing.end();
      return await passUpgrade(outgoing);
    }
    const message = await send(request, way, parts, options);
    return {
      type: 'stream',
      status: message.statusCode ?? 502,
      contentType: message.headers['content-type'] ?? 'application/octet-stream',
      headers: answeredHeaders(message),
      stream: message,
    };
  } catch (error) {
    throw error instanceof StatusError ? error : unreachable(error);
  }
}

/** A connection that was kept may have been closed in the meantime: what only reads is sent again. */
async function send(request: ApiRequest, way: Way, parts: RequestOptions, options: ForwardOptions): Promise<IncomingMessage> {
  for (let attempt = 1; ; attempt++) {
    const outgoing = way.request(parts);
    limitTime(request, outgoing, options);
    try {
      return await answerTo(request, outgoing);
    } catch (error) {
      outgoing.destroy();
      const again = outgoing.reusedSocket && (request.method === 'GET' || request.method === 'HEAD') && !request.signal.aborted;
      if (!again || attempt >= 3) throw error;
    }
  }
}
