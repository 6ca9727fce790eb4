/** Connections to the server behind an APIService: through its Service, with TLS by the APIService's own rules. */
import { Agent, type ClientRequest, request as httpRequest, type RequestOptions } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Clock } from '#platform/clock.ts';
import type { DialService } from '../dial.ts';
import type { StoredApiService } from './api-services.ts';

export interface RemoteAccess {
  readonly dial: DialService;
  /** PEM of the certificate and key with which this server tells aggregated ones who it is. */
  readonly proxyClient: () => { readonly cert: string; readonly key: string };
}

export interface Target {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  /** What the certificate has to be for. */
  readonly serverName: string;
  /** PEM; undefined: the system's authorities. */
  readonly ca: string | undefined;
  readonly insecure: boolean;
}

const defaultPort = 443;
/** For dialling and the TLS handshake together. */
const connectWithinMs = 10_000;
/** Connections that are kept for the next request, and for how long. */
const maxIdle = 8;
const idleMs = 60_000;
const never = new AbortController().signal;

/** Where an APIService points to; undefined for a local one. */
export function targetOf({ spec }: StoredApiService): Target | undefined {
  if (spec?.service === undefined) return undefined;
  const { namespace = '', name = '', port = defaultPort } = spec.service;
  const ca = spec.caBundle === undefined || spec.caBundle === '' ? undefined : Buffer.from(spec.caBundle, 'base64').toString('utf8');
  return { namespace, name, port, serverName: `${name}.${namespace}.svc`, ca, insecure: spec.insecureSkipTLSVerify === true };
}

function handshake(socket: Duplex, target: Target, access: RemoteAccess): Promise<TLSSocket> {
  const { cert, key } = access.proxyClient();
  return new Promise((resolve, reject) => {
    const tls = connectTls({
      socket,
      host: target.serverName,
      servername: target.serverName,
      rejectUnauthorized: !target.insecure,
      ...(target.ca === undefined ? {} : { ca: target.ca }),
      cert,
      key,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
    });
    tls.once('secureConnect', () => resolve(tls));
    tls.once('error', reject);
    tls.once('close', () => reject(new Error('the connection was closed during the TLS handshake')));
  });
}

/** Dials and shakes hands. Rejects with an Error that says what went wrong, also when it takes too long. */
export async function connectTo(target: Target, access: RemoteAccess, clock: Clock, signal: AbortSignal): Promise<TLSSocket> {
  const late = new AbortController();
  const timer = clock.after(connectWithinMs, () => late.abort(new Error(`dial ${target.serverName}:${target.port}: i/o timeout`)));
  const either = AbortSignal.any([signal, late.signal]);
  let socket: Duplex | undefined;
  try {
    const aborted = new Promise<never>((_resolve, reject) => {
      const fail = (): void => reject(either.reason);
      if (either.aborted) fail();
      else either.addEventListener('abort', fail, { once: true });
    });
    const connected = (async () => {
      socket = await access.dial(target.namespace, target.name, target.port, either);
      if (either.aborted) throw either.reason;
      // Between two owners an error would have nobody to hear it.
      socket.on('error', () => undefined);
      return await handshake(socket, target, access);
    })();
    connected.catch(() => socket?.destroy());
    return await Promise.race([connected, aborted]);
  } catch (error) {
    socket?.destroy();
    throw error;
  } finally {
    timer.cancel();
  }
}

/** Sends requests to one target over connections that are used again. */
export interface Connections {
  readonly request: (options: RequestOptions) => ClientRequest;
  /** Closes what is idle; requests under way go on. */
  readonly close: () => void;
}

export function createConnections(target: Target, access: RemoteAccess, clock: Clock): Connections {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: maxIdle, timeout: idleMs });
  const open = async (done: (error: Error | null, socket?: Duplex) => void): Promise<void> => {
    let socket: TLSSocket;
    try {
      // Not a request's own: the connection is of use to the next one too.
      socket = await connectTo(target, access, clock, never);
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    done(null, socket);
  };
  Object.assign(agent, {
    createConnection: (_options: unknown, done: Parameters<typeof open>[0]): undefined => {
      void open(done);
    },
  });
  return {
    request: (options) => httpRequest({ ...options, agent, setHost: false }),
    close: () => {
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    },
  };
}

/** A request over a connection of its own: what is upgraded never comes back. */
export const requestOver = (socket: Duplex, options: RequestOptions): ClientRequest =>
  httpRequest({ ...options, createConnection: () => socket, setHost: false });
