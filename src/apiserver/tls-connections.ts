/** TLS connections to webhooks and to aggregated servers, made as Go's transports make them; what fails is told in Go's words. */
import { Agent } from 'node:http';
import type { Duplex } from 'node:stream';
import { checkServerIdentity, connect as connectTls, type TLSSocket } from 'node:tls';
import type { Clock } from '#platform/clock.ts';
import { goErrorText } from './go-errors.ts';

/** Who is at the other end, and how to get there. */
export interface TlsPeer {
  /** What the certificate has to be for. */
  readonly serverName: string;
  /** Ends when the signal aborts, also later. */
  readonly dial: (signal: AbortSignal) => Promise<Duplex>;
  /** PEM of the authorities that may have signed its certificate; undefined: those of the system. */
  readonly ca: string | undefined;
  /** Whoever answers is believed. */
  readonly insecure?: boolean;
  /** PEM of the certificate and key with which this server tells who it is; asked for each connection, since they are renewed. */
  readonly client?: () => { readonly cert: string; readonly key: string };
}

/** How many connections to one peer there may be at the same time, and how many are kept when none is needed. */
export interface AgentLimits {
  readonly maxSockets?: number;
  readonly maxFreeSockets: number;
}

/** client-go rest and transport: the dialer's timeout and that of the TLS handshake. */
const dialWithinMs = 30_000;
const handshakeWithinMs = 10_000;
/** How long a connection that nobody needs is kept. */
const idleMs = 60_000;

const isAddress = (serverName: string): boolean => /^[\d.]+$|:/.test(serverName);

/** Why a certificate was refused. */
function refusalText(tls: TLSSocket, serverName: string): string {
  const cert = tls.getPeerCertificate();
  const code = String(tls.authorizationError);
  return goErrorText(Object.assign(new Error(code), { code, cert }), serverName, cert);
}

/** As Go has it, a common name is no name of a server. */
const sameName: typeof checkServerIdentity = (host, cert) =>
  (cert.subjectaltname ?? '') === ''
    ? Object.assign(new Error('the certificate has no names'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    : checkServerIdentity(host, cert);

function handshake(socket: Duplex, { serverName, ca, insecure = false, client }: TlsPeer): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const tls = connectTls({
      socket,
      // The name that the certificate is held against, also where it is an address and not sent as server name.
      host: serverName,
      ...(isAddress(serverName) ? {} : { servername: serverName }),
      ...(ca === undefined ? {} : { ca }),
      ...client?.(),
      ALPNProtocols: ['http/1.1'],
      checkServerIdentity: sameName,
      // The certificate is checked all the same, and refused below: a connection that is closed at once no longer tells its certificate.
      rejectUnauthorized: false,
    });
    tls.once('secureConnect', () => {
      if (tls.authorized || insecure) {
        resolve(tls);
        return;
      }
      const why = refusalText(tls, serverName);
      tls.destroy();
      reject(new Error(why));
    });
    tls.once('error', (error) => reject(new Error(goErrorText(error, serverName), { cause: error })));
    tls.once('close', () => reject(new Error('EOF')));
  });
}

/** What `work` gives, or a rejection as soon as the signal aborts or the time is over; then `work`'s signal aborts too. */
async function within<T>(
  clock: Clock,
  limit: { readonly ms: number; readonly error: string },
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = clock.after(limit.ms, () => late.abort(new Error(limit.error)));
  const either = AbortSignal.any([signal, late.signal]);
  try {
    return await new Promise<T>((resolve, reject) => {
      const fail = (): void => reject(either.reason instanceof Error ? either.reason : new Error('context canceled'));
      either.addEventListener('abort', fail, { once: true });
      if (either.aborted) fail();
      else work(either).then(resolve, reject);
    });
  } finally {
    timer.cancel();
  }
}

/** Dials and shakes hands. The connection ends when the signal aborts, also later. Rejects with an Error in Go's words. */
export async function connectPeer(peer: TlsPeer, clock: Clock, signal: AbortSignal): Promise<TLSSocket> {
  let socket: Duplex | undefined;
  const dial = async (either: AbortSignal): Promise<Duplex> => {
    const dialled = await peer.dial(either);
    if (either.aborted) dialled.destroy();
    // Between two owners an error would have nobody to hear it.
    return dialled.on('error', () => undefined);
  };
  try {
    socket = await within(clock, { ms: dialWithinMs, error: 'dial tcp: i/o timeout' }, signal, dial);
    const dialled = socket;
    const limit = { ms: handshakeWithinMs, error: 'net/http: TLS handshake timeout' };
    return await within(clock, limit, signal, () => handshake(dialled, peer));
  } catch (error) {
    socket?.destroy();
    throw new Error(goErrorText(error, peer.serverName), { cause: error });
  }
}

const never = new AbortController().signal;

/** An agent all of whose connections go to one peer and are used again. */
export function createPeerAgent(peer: TlsPeer, limits: AgentLimits, clock: Clock): Agent {
  const agent = new Agent({ keepAlive: true, timeout: idleMs, ...limits });
  agent.createConnection = (_options, done) => {
    const give = (error: Error | null, socket?: TLSSocket): void => done?.(error, socket as TLSSocket);
    // Not for one request only: others may wait for the connection too, and the next one will want it.
    connectPeer(peer, clock, never).then(
      (socket) => give(null, socket),
      (error: unknown) => give(error instanceof Error ? error : new Error(String(error))),
    );
    return undefined;
  };
  return agent;
}

/** Closes what nobody uses at the moment; requests under way go on. */
export function closeIdleConnections(agent: Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}
