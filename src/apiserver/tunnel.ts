/**
 * The way from the server to its nodes. Each agent opens a websocket to /v1-k3ts/connect and serves HTTP/2 over it, so a node
 * needs no open port: the server is the HTTP/2 client, and every request to a node is one stream.
 */
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { StatusError } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { nodeNameOf } from './authz/node.ts';
import type { ApiRequest, ApiResponse, ExtraRoute } from './contract.ts';
import { http2Duplex } from './streams/http2-duplex.ts';

const pingEveryMs = 10_000;
/** A node that does not answer a ping for this long is gone, whatever TCP says. */
const pingTimeoutMs = 15_000;
/** How long a request waits for a node that is just reconnecting. */
const waitForNodeMs = 5000;
/** Bytes that may be under way unread: per stream and per node. */
const streamWindow = 1024 * 1024;
const sessionWindow = 8 * 1024 * 1024;

export interface NodeResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Body to read; for full-duplex requests also to write. */
  readonly stream: Duplex;
}

export interface NodeConnection {
  /** `endStream` false: the caller writes a body. Rejects with StatusError ServiceUnavailable when the link breaks. */
  readonly request: (
    headers: OutgoingHttpHeaders,
    options: { readonly endStream: boolean; readonly signal: AbortSignal },
  ) => Promise<NodeResponse>;
  /** A TCP connection dialled from the node. */
  readonly connect: (host: string, port: number, signal: AbortSignal) => Promise<Duplex>;
}

export interface Tunnel {
  readonly routes: readonly ExtraRoute[];
  /** Resolves to the node's connection; waits a moment for one that is reconnecting. Rejects with StatusError ServiceUnavailable. */
  readonly dialNode: (node: string, signal: AbortSignal) => Promise<NodeConnection>;
  /** Names of the nodes that are connected now. */
  readonly connected: () => readonly string[];
  readonly close: () => void;
}

interface Link {
  readonly session: ClientHttp2Session;
  readonly end: (why: string) => void;
}

const unavailable = (message: string): StatusError => new StatusError('ServiceUnavailable', message);

function openStream(link: Link, node: string, headers: OutgoingHttpHeaders, options: { endStream: boolean; signal: AbortSignal }) {
  return new Promise<NodeResponse>((resolve, reject) => {
    const stream = link.session.request(headers, { endStream: options.endStream });
    const abort = (): void => stream.close(constants.NGHTTP2_CANCEL);
    options.signal.addEventListener('abort', abort, { once: true });
    const duplex = http2Duplex(stream);
    stream.on('response', (answer) => resolve({ status: answer[':status'] ?? 502, headers: answer, stream: duplex }));
    stream.on('error', (error) => reject(unavailable(`the connection to node "${node}" broke: ${error.message}`)));
    stream.on('close', () => {
      options.signal.removeEventListener('abort', abort);
      reject(unavailable(`the connection to node "${node}" broke`));
    });
    if (options.signal.aborted) abort();
  });
}

async function dialThrough(link: Link, node: string, host: string, port: number, signal: AbortSignal): Promise<Duplex> {
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const { status, stream } = await openStream(link, node, { ':method': 'CONNECT', ':authority': authority }, { endStream: false, signal });
  if (status === 200) return stream;
  const why = await readText(stream, 4096);
  throw unavailable(`node "${node}" cannot reach ${authority}: ${why === '' ? `status ${status}` : why}`);
}

/** At most `limit` bytes of a body as text; the rest is thrown away. */
export async function readText(stream: Duplex, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= limit) break;
  }
  stream.destroy();
  return Buffer.concat(chunks).subarray(0, limit).toString('utf8').trim();
}

/** Pings until the session ends; ends it when an answer does not come in time. */
function keepAlive(link: Link, clock: Clock): void {
  let waiting = clock.after(pingEveryMs, ping);
  function ping(): void {
    if (link.session.destroyed) return;
    const late = clock.after(pingTimeoutMs, () => link.end('no answer to a ping'));
    waiting = late;
    link.session.ping((error) => {
      late.cancel();
      if (error === null && !link.session.destroyed) waiting = clock.after(pingEveryMs, ping);
    });
  }
  link.session.once('close', () => waiting.cancel());
}

/** A session, as its client, with a node at the other end of the connection. */
export function linkOver(duplex: Duplex, log: Logger, node: string): Link {
  const session = connectHttp2(`http://${encodeURIComponent(node)}`, {
    createConnection: () => duplex,
    settings: { initialWindowSize: streamWindow, enablePush: false },
    maxSessionMemory: 64,
  });
  session.on('connect', () => session.setLocalWindowSize(sessionWindow));
  session.on('error', (error) => log.debug('tunnel session failed', { node, error }));
  // Its close follows.
  duplex.on('error', () => undefined);
  duplex.on('close', () => session.destroy());
  session.on('close', () => duplex.destroy());
  return {
    session,
    end: (why) => {
      log.info('closing tunnel', { node, why });
      // The session ends with it. Ended first it would write its last words, which fails an assertion in Node that
      // nothing can catch (js_stream_socket.js doWrite) while a write hangs, as one does when a node does not answer.
      duplex.destroy();
    },
  };
}

export function createTunnel(deps: { readonly clock: Clock; readonly log: Logger }): Tunnel {
  const { clock, log } = deps;
  const links = new Map<string, Link>();
  const waiters = new Map<string, Set<() => void>>();
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 32 * 1024 * 1024 });
  let closed = false;

  const add = (node: string, duplex: Duplex): void => {
    links.get(node)?.end('replaced by a new connection');
    const link = linkOver(duplex, log, node);
    links.set(node, link);
    link.session.on('close', () => {
      if (links.get(node) !== link) return;
      links.delete(node);
      log.info('node disconnected', { node });
    });
    keepAlive(link, clock);
    log.info('node connected', { node });
    for (const wake of [...(waiters.get(node) ?? [])]) wake();
  };

  const accept = async (request: ApiRequest): Promise<ApiResponse> => {
    const node = nodeNameOf(request.user);
    if (node === undefined) throw new StatusError('Forbidden', 'only nodes may open a tunnel');
    if (request.upgrade !== true) throw new StatusError('BadRequest', 'Upgrade request required');
    if (closed) throw unavailable('the server is shutting down');
    return await Promise.resolve({
      type: 'upgrade',
      accept: (raw, socket, head) => {
        server.handleUpgrade(raw, socket, head, (websocket) => {
          const duplex = createWebSocketStream(websocket);
          duplex.on('error', () => duplex.destroy());
          // The agent speaks first (its SETTINGS): before that it might not listen yet.
          const silent = clock.after(pingTimeoutMs, () => websocket.terminate());
          duplex.once('close', silent.cancel);
          duplex.once('readable', () => {
            silent.cancel();
            if (!duplex.destroyed) add(node, duplex);
          });
        });
      },
    });
  };

  const linkOf = async (node: string, signal: AbortSignal): Promise<Link> => {
    const now = links.get(node);
    if (now !== undefined) return now;
    const set = waiters.get(node) ?? new Set<() => void>();
    waiters.set(node, set);
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        set.delete(done);
        if (set.size === 0 && waiters.get(node) === set) waiters.delete(node);
        resolve();
      };
      const timer = clock.after(waitForNodeMs, done);
      set.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
    const link = links.get(node);
    if (link === undefined) throw unavailable(`node "${node}" is not connected to this server`);
    return link;
  };

  return {
    routes: [{ methods: ['GET'], path: '/v1-k3ts/connect', access: 'none', handle: accept }],
    dialNode: async (node, signal) => {
      const link = await linkOf(node, signal);
      return {
        request: (headers, options) => openStream(link, node, headers, options),
        connect: (host, port, given) => dialThrough(link, node, host, port, given),
      };
    },
    connected: () => [...links.keys()].sort(),
    close: () => {
      closed = true;
      for (const link of [...links.values()]) link.end('the server is shutting down');
      for (const websocket of server.clients) websocket.terminate();
      server.close();
    },
  };
}
