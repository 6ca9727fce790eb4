import { connect } from 'node:net';
import type { Duplex } from 'node:stream';

/** A connection to a port of a service. Rejects with an Error that says why there is none. It ends when the signal aborts, also later. */
export type DialService = (namespace: string, name: string, port: number, signal: AbortSignal) => Promise<Duplex>;

/** A connection from this machine; given up when the signal aborts before it stands, and ended when it aborts later. */
export function dialTcp(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const abort = (): void => {
      socket.destroy();
      reject(signal.reason instanceof Error ? signal.reason : new Error('context canceled'));
    };
    signal.addEventListener('abort', abort, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', abort));
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
    if (signal.aborted) abort();
  });
}
