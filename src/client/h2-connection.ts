/** One HTTP/2 connection to the API server: made when needed, watched for half-open links, replaced when it breaks. */
import { once } from 'node:events';
import { type ClientHttp2Session, connect as h2connect } from 'node:http2';
import { isIP } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { unreachable } from '#kube/status-answer.ts';
import type { Clock, Timer } from '#platform/clock.ts';

/** What a connection presents and trusts; PEM. */
export interface TlsIdentity {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface H2ConnectionOptions {
  /** https://host:port */
  readonly server: string;
  /** Asked for every new connection, so that renewed certificates come into use. */
  readonly tls: () => TlsIdentity;
  readonly clock: Clock;
  readonly connectTimeoutMs?: number;
  /** With nothing received for so long, the peer is asked for a sign of life. Default 20 s. */
  readonly pingAfterMs?: number;
  /** Without an answer to a ping for so long, the connection is given up. Default 15 s. */
  readonly pingTimeoutMs?: number;
}

export interface H2Connection {
  /** The current session, or a new one. Rejects with ServiceUnavailable. */
  readonly session: () => Promise<ClientHttp2Session>;
  /** Later requests use a new connection; those under way end on the old one. */
  readonly renew: () => void;
  /** Breaks everything off. */
  readonly close: () => void;
}

/** Large enough that one slow stream cannot starve the others of the connection's window. */
const connectionWindow = 32 * 1024 * 1024;
const streamWindow = 1024 * 1024;

export function createH2Connection(options: H2ConnectionOptions): H2Connection {
  let current: Promise<ClientHttp2Session> | undefined;
  let closed = false;

  const open = (): Promise<ClientHttp2Session> => {
    const opening: Promise<ClientHttp2Session> = dial(options).then((socket) => {
      const session = h2connect(options.server, { createConnection: () => socket, settings: { initialWindowSize: streamWindow } });
      const drop = (): void => {
        if (current === opening) current = undefined;
      };
      // The requests under way report the error; here it only must not be unhandled.
      session.on('error', drop);
      session.on('goaway', drop);
      session.on('close', drop);
      session.once('connect', () => session.setLocalWindowSize(connectionWindow));
      keepAlive(session, socket, options);
      return session;
    });
    opening.catch(() => {
      if (current === opening) current = undefined;
    });
    return opening;
  };

  return {
    session: () => {
      if (closed) return Promise.reject(unreachable('the client is closed'));
      current ??= open();
      return current;
    },
    renew: () => {
      const old = current;
      current = undefined;
      old?.then((session) => session.close()).catch(() => undefined);
    },
    close: () => {
      closed = true;
      const old = current;
      current = undefined;
      old?.then((session) => session.destroy()).catch(() => undefined);
    },
  };
}

async function dial(options: H2ConnectionOptions): Promise<TLSSocket> {
  const url = new URL(options.server);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const socket = tlsConnect({
    host,
    port: url.port === '' ? 443 : Number(url.port),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.2',
    ...options.tls(),
  });
  const limit = options.clock.after(options.connectTimeoutMs ?? 10_000, () => socket.destroy(new Error('timed out')));
  try {
    await once(socket, 'secureConnect');
  } catch (error) {
    socket.destroy();
    const why = error instanceof Error ? error.message : String(error);
    throw unreachable(`cannot connect to ${options.server}: ${why}`, error);
  } finally {
    limit.cancel();
  }
  if (socket.alpnProtocol === 'h2') {
    socket.setNoDelay(true);
    return socket;
  }
  socket.destroy();
  throw unreachable(`cannot connect to ${options.server}: the server does not speak HTTP/2`);
}

/** Links of remote machines die without a word (NAT timeouts, cut cables): what does not answer a ping is destroyed. */
function keepAlive(session: ClientHttp2Session, socket: TLSSocket, options: H2ConnectionOptions): void {
  const { clock } = options;
  const idleMs = options.pingAfterMs ?? 20_000;
  let seen = socket.bytesRead;
  let timer: Timer | undefined;
  const arm = (): void => {
    timer = clock.after(idleMs, check);
  };
  const check = (): void => {
    if (session.destroyed) return;
    if (socket.bytesRead !== seen) {
      seen = socket.bytesRead;
      arm();
      return;
    }
    timer = clock.after(options.pingTimeoutMs ?? 15_000, () => session.destroy(new Error('no answer to a ping')));
    session.ping((error) => {
      timer?.cancel();
      if (error === null && !session.destroyed) arm();
    });
  };
  session.on('close', () => timer?.cancel());
  arm();
}
