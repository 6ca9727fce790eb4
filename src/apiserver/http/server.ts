/** HTTPS: HTTP/1.1 and HTTP/2 on one port, client certificates asked for, bodies bounded, everything answered with a Status. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { badRequest, StatusError } from '#kube/status-error.ts';
import { parseGoDuration } from '#lib/go-duration.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { ApiRequest, ApiResponse, Authenticate, AuthnRequest, RequestHeaders } from '../contract.ts';
import { isLongRunning } from '../flowcontrol/classify.ts';
import { errorResponse, type Handle } from '../handler.ts';
import { parseRequestInfo } from '../request-info.ts';
import { hasBody, type RawRequest, readBody } from './body.ts';
import { EncodedCache } from './encoded.ts';
import { type RawResponse, respond } from './respond.ts';
import { sniff } from './sniff.ts';
import { acceptUpgrade } from './upgrade.ts';

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** PEM of the authorities that client certificates may come from. */
  readonly clientCa: string;
}

export interface HttpOptions {
  readonly tls: TlsMaterial;
  /** Largest body: upstream's 3 MiB. */
  readonly bodyLimit?: number;
  /** How long a request that is no watch, log or stream may take. */
  readonly requestTimeoutMs?: number;
}

export interface HttpDeps {
  readonly handle: Handle;
  /** Whether requests for a path are passed on to another server: their bodies are not read here. */
  readonly passesOn: (path: string) => boolean;
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface HttpServer {
  /** Resolves to the port. */
  readonly listen: (host: string, port: number) => Promise<number>;
  /** Renewed certificates take effect for new connections. */
  readonly setTls: (tls: TlsMaterial) => void;
  /** Ends watches, lets requests under way finish, for at most four seconds. */
  readonly close: () => Promise<void>;
}

const defaultBodyLimit = 3 * 1024 * 1024;
export const defaultTimeoutMs = 60_000;
const closeWithinMs = 4000;

const tlsOptions = (tls: TlsMaterial) => ({ cert: tls.cert, key: tls.key, ca: tls.clientCa, minVersion: 'TLSv1.2' as const });

function createTlsServer(options: HttpOptions, log: Logger): Http2SecureServer {
  const server = createSecureServer({
    ...tlsOptions(options.tls),
    allowHTTP1: true,
    requestCert: true,
    rejectUnauthorized: false,
    // Many large lists may be on their way over one connection; each is sent piece by piece.
    maxSessionMemory: 64,
    settings: { maxConcurrentStreams: 1000, initialWindowSize: 1024 * 1024 },
  });
  server.on('sessionError', () => undefined);
  server.on('tlsClientError', (error, socket) => {
    log.debug('TLS handshake failed', { from: socket.remoteAddress ?? '', reason: error.message });
    socket.destroy();
  });
  server.on('clientError', (_error: Error, socket: Duplex) => {
    if (socket.writable)
      socket.end(
        'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 15\r\n\r\n400 Bad Request',
      );
    else socket.destroy();
  });
  return server;
}

export function createHttpServer(options: HttpOptions, deps: HttpDeps): HttpServer {
  const encoded = new EncodedCache();
  const closing = new AbortController();
  const connections = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const server = createTlsServer(options, deps.log);
  let open = 0;
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
  });
  server.on('request', (request: Http2ServerRequest | IncomingMessage, response: Http2ServerResponse | ServerResponse) => {
    open++;
    response.on('close', () => {
      open--;
    });
    void serve(options, deps, { request, response, encoded, closing: closing.signal });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    void serveUpgrade(deps, request, socket, head, { encoded, closing: closing.signal });
  });
  const front = createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    sniff(socket, server);
  });
  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        front.once('error', reject);
        front.listen(port, host, () => {
          front.removeListener('error', reject);
          const address = front.address();
          resolve(typeof address === 'object' && address !== null ? address.port : port);
        });
      }),
    setTls: (tls) => server.setSecureContext(tlsOptions(tls)),
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        front.close(() => resolve());
      });
      closing.abort(new Error('the server is shutting down'));
      for (const session of sessions) session.close();
      const end = deps.clock.monotonic() + closeWithinMs;
      while (open > 0 && deps.clock.monotonic() < end) await deps.clock.sleep(20);
      for (const socket of connections) socket.destroySoon();
      const timer = deps.clock.after(500, () => {
        for (const socket of connections) socket.destroy();
      });
      await closed;
      timer.cancel();
    },
  };
}

interface Exchange {
  readonly request: RawRequest;
  readonly response: RawResponse;
  readonly encoded: EncodedCache;
  readonly closing: AbortSignal;
}

const anonymous = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

const requestTimeout = (): StatusError =>
  new StatusError('Timeout', 'Timeout: request did not complete within requested timeout - context deadline exceeded');

/**
 * How long a request may take: what it asks for, where that is less than what it would get anyway. Throws StatusError BadRequest.
 * k8s.io/apiserver pkg/endpoints/filters/request_deadline.go
 */
function timeLimit(request: ApiRequest, mostMs: number): number {
  const text = request.query.get('timeout') ?? '';
  if (text === '' || isLongRunning(parseRequestInfo(request.method, request.path, request.query))) return mostMs;
  const asked = parseGoDuration(text);
  if (asked === undefined)
    throw badRequest(`invalid timeout specified in the request URL - time: invalid duration ${JSON.stringify(text)}`);
  return asked > 0 ? Math.min(asked, mostMs) : mostMs;
}

/** One request from its head to its answer. Never rejects. */
async function serve(options: HttpOptions, deps: HttpDeps, x: Exchange): Promise<void> {
  const { request: raw, response: out } = x;
  const controller = new AbortController();
  const stop = (): void => controller.abort(x.closing.reason);
  out.on('close', () => {
    x.closing.removeEventListener('abort', stop);
    if (!out.writableFinished) controller.abort(new Error('the client went away'));
  });
  out.on('error', () => undefined);
  const apiRequest = toApiRequest(raw, controller.signal);
  let timedOut = false;
  let timer: { readonly cancel: () => void } | undefined;
  let request = apiRequest;
  try {
    timer = deps.clock.after(timeLimit(apiRequest, options.requestTimeoutMs ?? defaultTimeoutMs), () => {
      timedOut = true;
      controller.abort(requestTimeout());
    });
    const passedOn = hasBody(raw) && deps.passesOn(apiRequest.path);
    const body = passedOn ? undefined : await readBody(raw, options.bodyLimit ?? defaultBodyLimit);
    const user = await deps.authenticate(toAuthnRequest(raw, apiRequest), controller.signal);
    request = { ...apiRequest, body, ...(passedOn ? { bodyStream: raw } : {}), user };
    const response = await deps.handle(request);
    timer.cancel();
    if (response.type === 'watch' || response.type === 'stream') {
      if (x.closing.aborted) stop();
      else x.closing.addEventListener('abort', stop, { once: true });
    }
    const answer = timedOut ? errorResponse(deps, { ...request, signal: x.closing }, requestTimeout()) : response;
    if (!out.destroyed) await respond(out, request, answer, x.encoded);
  } catch (error) {
    await answerFailure(deps, x, request, timedOut ? requestTimeout() : error);
  } finally {
    timer?.cancel();
  }
}

async function answerFailure(deps: HttpDeps, x: Exchange, request: ApiRequest, error: unknown): Promise<void> {
  const { response: out } = x;
  if (out.headersSent || out.destroyed) {
    if (!request.signal.aborted) deps.log.error('answer failed', { method: request.method, path: request.path, error });
    if (!out.destroyed) out.destroy();
    return;
  }
  const answer = errorResponse(deps, request, error);
  await respond(out, request, answer, x.encoded).catch(() => out.destroy());
}

interface UpgradeContext {
  readonly encoded: EncodedCache;
  readonly closing: AbortSignal;
}

/** One upgrade request. Never rejects. */
async function serveUpgrade(deps: HttpDeps, raw: IncomingMessage, socket: Duplex, head: Buffer, context: UpgradeContext): Promise<void> {
  const controller = new AbortController();
  const stop = (): void => controller.abort(context.closing.reason);
  context.closing.addEventListener('abort', stop, { once: true });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    context.closing.removeEventListener('abort', stop);
    controller.abort(new Error('the client went away'));
  });
  const apiRequest: ApiRequest = { ...toApiRequest(raw, controller.signal), upgrade: true };
  try {
    let response: ApiResponse;
    try {
      const user = await deps.authenticate(toAuthnRequest(raw, apiRequest), controller.signal);
      response = await deps.handle({ ...apiRequest, user });
    } catch (error) {
      response = errorResponse(deps, apiRequest, error);
    }
    await acceptUpgrade(raw, socket, head, apiRequest, response, context.encoded);
  } catch (error) {
    deps.log.error('upgrade failed', { path: apiRequest.path, error });
    socket.destroy();
  }
}

function toApiRequest(raw: RawRequest, signal: AbortSignal): ApiRequest {
  const url = raw.url ?? '/';
  const at = url.indexOf('?');
  return {
    method: raw.method ?? 'GET',
    path: at < 0 ? url : url.slice(0, at),
    query: new URLSearchParams(at < 0 ? '' : url.slice(at + 1)),
    headers: raw.headers as RequestHeaders,
    body: undefined,
    user: anonymous,
    signal,
    remoteAddress: raw.socket.remoteAddress ?? '',
  };
}

/** By connection; null: it came without a certificate. */
const peers = new WeakMap<object, (AuthnRequest['peer'] & object) | null>();

function toAuthnRequest(raw: RawRequest, request: ApiRequest): AuthnRequest {
  const connection: object = 'stream' in raw ? (raw.stream.session ?? raw.stream) : raw.socket;
  const socket = raw.socket as TLSSocket;
  let peer = peers.get(connection);
  if (peer === undefined) {
    peer = peerOf(socket) ?? null;
    peers.set(connection, peer);
  }
  const { method, path, query, headers, remoteAddress = '' } = request;
  return { method, path, query, headers, rawHeaders: raw.rawHeaders, peer: peer ?? undefined, connection, remoteAddress };
}

/** Longest chain of certificates that is looked at. */
const longestChain = 8;

function peerOf(socket: TLSSocket): AuthnRequest['peer'] {
  const certificate = socket.getPeerX509Certificate?.();
  if (certificate === undefined) return undefined;
  const intermediates: Uint8Array[] = [];
  let next = certificate.issuerCertificate;
  while (next !== undefined && intermediates.length < longestChain) {
    intermediates.push(next.raw);
    const { issuerCertificate: above } = next;
    next = above === undefined || above.raw.equals(next.raw) ? undefined : above;
  }
  return { raw: certificate.raw, intermediates, authorized: socket.authorized };
}
