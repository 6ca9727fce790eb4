/**
 * The connection through which the API server reaches this node: a websocket that the node opens, with HTTP/2 inside in
 * which the node is the server. A node so needs no open port and may stand behind NAT.
 */
import { type IncomingHttpHeaders, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocket } from 'ws';
import { backoffMs } from '#lib/backoff.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';

export interface TunnelOptions {
  /** wss://server:6443/v1-k3ts/connect */
  readonly url: () => string;
  /** The cluster's authority and this node's certificate, as they are now. */
  readonly tls: () => Promise<{ readonly ca: string | Buffer; readonly cert: string | Buffer; readonly key: string | Buffer }>;
  readonly serve: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface Tunnel {
  /** Keeps the tunnel up until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly connected: () => boolean;
}

const retry = { baseMs: 100, maxMs: 5000, jitter: 0.5 };
/** NAT devices forget quiet connections; a dead one is noticed within two of these. */
const pingMs = 20_000;
const handshakeMs = 10_000;

export interface ServedSession {
  readonly closed: Promise<void>;
  /** At once, whatever is still to be written. Safe to call twice. */
  readonly end: () => void;
}

/** HTTP/2, as its server, over any connection. */
export function serveHttp2(duplex: Duplex, { serve, log }: Pick<TunnelOptions, 'serve' | 'log'>): ServedSession {
  // Errors of the connection end the session; they are told there.
  duplex.on('error', () => undefined);
  const session: ServerHttp2Session = performServerHandshake(duplex, {
    settings: { enableConnectProtocol: true, initialWindowSize: 1024 * 1024 },
  });
  session.on('stream', serve);
  session.on('error', (error) => log.debug('the tunnel to the API server broke', { error }));
  return {
    closed: new Promise((resolve) => session.once('close', () => resolve())),
    // Not session.destroy: its last words on a connection where a write is under way fail an assertion in Node
    // (js_stream_socket.js doWrite), which nothing can catch. The session ends with its connection.
    end: () => void duplex.destroy(),
  };
}

export function createTunnel(options: TunnelOptions): Tunnel {
  const { clock, random, log } = options;
  let connected = false;

  async function open(signal: AbortSignal): Promise<WebSocket> {
    const socket = new WebSocket(options.url(), {
      ...(await options.tls()),
      perMessageDeflate: false,
      handshakeTimeout: handshakeMs,
      maxPayload: 16 * 1024 * 1024,
    });
    const stop = (): void => socket.terminate();
    signal.addEventListener('abort', stop, { once: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed before it was open')));
    }).finally(() => signal.removeEventListener('abort', stop));
    return socket;
  }

  /** Ends a connection that no longer answers. */
  function keepAlive(socket: WebSocket): () => void {
    let answered = true;
    socket.on('pong', () => {
      answered = true;
    });
    let timer = clock.after(pingMs, tick);
    function tick(): void {
      if (!answered) {
        socket.terminate();
        return;
      }
      answered = false;
      socket.ping();
      timer = clock.after(pingMs, tick);
    }
    return () => timer.cancel();
  }

  async function serve(socket: WebSocket, signal: AbortSignal): Promise<void> {
    const stopPings = keepAlive(socket);
    const session = serveHttp2(createWebSocketStream(socket), options);
    const stop = (): void => {
      socket.terminate();
      session.end();
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      await Promise.race([session.closed, new Promise<void>((resolve) => socket.once('close', () => resolve()))]);
    } finally {
      signal.removeEventListener('abort', stop);
      stopPings();
      stop();
    }
  }

  return {
    connected: () => connected,
    run: async (signal) => {
      for (let failures = 0; !signal.aborted; ) {
        try {
          const socket = await open(signal);
          connected = true;
          if (failures > 0) log.info('the tunnel to the API server is up again');
          failures = 0;
          await serve(socket, signal);
        } catch (error) {
          if (failures === 0 && !signal.aborted) log.warn('the tunnel to the API server cannot be opened, will retry', { error });
        }
        connected = false;
        if (signal.aborted) return;
        failures++;
        await clock.sleep(backoffMs(failures, retry, random.fraction()), signal).catch(() => undefined);
      }
    },
  };
}
