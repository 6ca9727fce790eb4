/** One HTTP request passed on over a connection that was dialled for it. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import { StatusError } from '#kube/status-error.ts';
import type { ApiRequest, ApiResponse } from '../contract.ts';

/** Headers that concern one connection only, and those that name the caller: the target learns nothing of the caller's credentials. */
const dropped = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'authorization',
  'host',
  'http2-settings',
]);

function forwardedHeaders(request: ApiRequest, host: string): Record<string, string> {
  const headers: Record<string, string> = { host };
  for (const [name, value] of Object.entries(request.headers)) {
    if (value === undefined || name.startsWith(':') || dropped.has(name) || name.startsWith('impersonate-')) continue;
    if (name === 'upgrade' && request.upgrade !== true) continue;
    headers[name] = value;
  }
  const from = request.remoteAddress ?? '';
  const before = request.headers['x-forwarded-for'];
  if (from !== '') headers['x-forwarded-for'] = before === undefined ? from : `${before}, ${from}`;
  headers['x-forwarded-uri'] ??= request.path;
  headers['x-forwarded-host'] ??= request.headers['host'] ?? request.headers[':authority'] ?? '';
  headers['x-forwarded-proto'] ??= 'https';
  if (request.upgrade === true) headers['connection'] = 'Upgrade';
  if (request.body !== undefined) headers['content-length'] = String(request.body.length);
  return headers;
}

export interface ProxyTarget {
  readonly scheme: 'http' | 'https';
  /** host:port for the Host header. */
  readonly host: string;
  /** Path and query. */
  readonly path: string;
  readonly connection: Duplex;
  /** What stands before the target's paths here: redirects are rewritten to it. */
  readonly prefix: string;
}

/** Certificates of proxied targets are not verified, as upstream. */
function secured(connection: Duplex, host: string): Duplex {
  return tlsConnect({ socket: connection, rejectUnauthorized: false, servername: host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '') });
}

function responseHeaders(message: IncomingMessage, target: ProxyTarget): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(message.headers)) {
    if (value === undefined || dropped.has(name) || name === 'content-type') continue;
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  const location = headers['location'];
  if (location !== undefined) headers['location'] = rewriteLocation(location, target);
  return headers;
}

function rewriteLocation(location: string, { scheme, host, prefix }: ProxyTarget): string {
  const own = `${scheme}://${host}`;
  if (location.startsWith('/') && !location.startsWith('//')) return prefix + location;
  return location.startsWith(`${own}/`) ? prefix + location.slice(own.length) : location;
}

/** The answer to an upgrade request that has been sent: both connections joined, or what the target said instead. */
export function passUpgrade(outgoing: ClientRequest): Promise<ApiResponse> {
  return new Promise((resolve, reject) => {
    outgoing.on('error', (error) => reject(unreachable(error)));
    outgoing.on('response', (message) => {
      resolve({
        type: 'stream',
        status: message.statusCode ?? 502,
        contentType: message.headers['content-type'] ?? 'text/plain',
        stream: message,
      });
    });
    outgoing.on('upgrade', (message, upstream, rest) => {
      resolve({
        type: 'upgrade',
        accept: (_raw, socket, head) => {
          const lines = message.rawHeaders.flatMap((name, i, all) => (i % 2 === 0 ? [`${name}: ${all[i + 1] ?? ''}`] : []));
          socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
          if (rest.length > 0) socket.write(rest);
          if (head.length > 0) upstream.write(head);
          const end = (): void => {
            socket.destroy();
            upstream.destroy();
          };
          for (const side of [socket, upstream]) side.on('error', end).on('close', end);
          socket.pipe(upstream).pipe(socket);
        },
      });
    });
  });
}

const unreachable = (error: Error): StatusError => new StatusError('ServiceUnavailable', `error trying to reach service: ${error.message}`);

/** Passes the request on and the answer back. Rejects with StatusError ServiceUnavailable when the target does not answer. */
export async function passOn(request: ApiRequest, target: ProxyTarget): Promise<ApiResponse> {
  const connection = target.scheme === 'https' ? secured(target.connection, target.host) : target.connection;
  const outgoing = httpRequest({
    createConnection: () => connection,
    method: request.method,
    path: target.path,
    headers: forwardedHeaders(request, target.host),
    setHost: false,
  });
  request.signal.addEventListener('abort', () => outgoing.destroy(), { once: true });
  if (request.body !== undefined) outgoing.write(request.body);
  outgoing.end();
  if (request.upgrade === true) return await passUpgrade(outgoing);
  return await new Promise((resolve, reject) => {
    outgoing.on('error', (error) => reject(unreachable(error)));
    outgoing.on('response', (message) => {
      resolve({
        type: 'stream',
        status: message.statusCode ?? 502,
        contentType: message.headers['content-type'] ?? 'application/octet-stream',
        headers: responseHeaders(message, target),
        stream: message,
      });
    });
  });
}
