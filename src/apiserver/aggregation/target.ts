/** Connections to the server behind an APIService: through its Service, with TLS by the APIService's own rules. */
import { type ClientRequest, request as httpRequest, type RequestOptions } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '#platform/clock.ts';
import type { DialService } from '../dial.ts';
import { closeIdleConnections, connectPeer, createPeerAgent, type TlsPeer } from '../tls-connections.ts';
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
/** Connections that are kept for the next request. */
const limits = { maxFreeSockets: 8 };

/** Where an APIService points to; undefined for a local one. */
export function targetOf({ spec }: StoredApiService): Target | undefined {
  if (spec?.service === undefined) return undefined;
  const { namespace = '', name = '', port = defaultPort } = spec.service;
  const ca = spec.caBundle === undefined || spec.caBundle === '' ? undefined : Buffer.from(spec.caBundle, 'base64').toString('utf8');
  return { namespace, name, port, serverName: `${name}.${namespace}.svc`, ca, insecure: spec.insecureSkipTLSVerify === true };
}

const peerOf = (target: Target, { dial, proxyClient }: RemoteAccess): TlsPeer => ({
  ...target,
  dial: (signal) => dial(target.namespace, target.name, target.port, signal),
  client: proxyClient,
});

/** A connection of its own. Rejects with an Error that says what went wrong, also when it takes too long. */
export const connectTo = (target: Target, access: RemoteAccess, clock: Clock, signal: AbortSignal): Promise<TLSSocket> =>
  connectPeer(peerOf(target, access), clock, signal);

/** Sends requests to one target over connections that are used again. */
export interface Connections {
  readonly request: (options: RequestOptions) => ClientRequest;
  /** Closes what is idle; requests under way go on. */
  readonly close: () => void;
}

export function createConnections(target: Target, access: RemoteAccess, clock: Clock): Connections {
  const agent = createPeerAgent(peerOf(target, access), limits, clock);
  return {
    request: (options) => httpRequest({ ...options, agent, setHost: false }),
    close: () => closeIdleConnections(agent),
  };
}

/** A request over a connection of its own: what is upgraded never comes back. */
export const requestOver = (socket: Duplex, options: RequestOptions): ClientRequest =>
  httpRequest({ ...options, createConnection: () => socket, setHost: false });
