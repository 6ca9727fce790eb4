/** One port of a pod on one connection: the node's side of `kubectl port-forward`. */
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { Cri } from '../cri/client.ts';

const connectMs = 10_000;

/** Rejects when nothing listens there. */
function dial(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    socket.setTimeout(connectMs, () => socket.destroy(new Error(`dial tcp ${host}:${port}: i/o timeout`)));
    socket.once('connect', () => {
      socket.setTimeout(0);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

function join(a: Duplex, b: Duplex): void {
  a.pipe(b);
  b.pipe(a);
  const end = (): void => {
    a.destroy();
    b.destroy();
  };
  a.once('error', end).once('close', () => b.destroy());
  b.once('error', end).once('close', () => a.destroy());
}

/**
 * Through containerd, which dials inside the pod's network: for servers that listen on the pod's loopback only. Rejects with what
 * containerd says when nothing listens there.
 */
async function forwardInside(connection: Duplex, sandboxId: string, port: number, cri: Cri): Promise<void> {
  const { url } = await cri.portForward({ podSandboxId: sandboxId, port: [port] });
  const target = new URL(url.replace(/^http/, 'ws'));
  target.searchParams.set('port', String(port));
  const socket = new WebSocket(target, ['v4.channel.k8s.io'], { perMessageDeflate: false });
  // Channel 0 is data, 1 is errors; each begins with the port in two bytes.
  const begun = new Set<number>();
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('open', () => {
      connection.on('data', (chunk: Buffer) => socket.send(Buffer.concat([Buffer.of(0), chunk])));
    });
    socket.on('message', (data: Buffer) => {
      const channel = data[0] ?? 0;
      const payload = begun.has(channel) ? data.subarray(1) : data.subarray(3);
      begun.add(channel);
      if (payload.length === 0) return;
      if (channel === 1) reject(new Error(payload.toString('utf8')));
      else if (!connection.write(payload)) {
        socket.pause();
        connection.once('drain', () => socket.resume());
      }
    });
    socket.once('close', () => resolve());
    connection.once('close', () => socket.close());
  }).finally(() => socket.close());
  connection.end();
}

export interface ForwardTarget {
  readonly sandboxId: string;
  readonly podIp: string;
  readonly hostNetwork: boolean;
}

/** Carries a connection to the port and back, until either side ends it. Rejects when nothing listens there. */
export async function forwardPort(connection: Duplex, target: ForwardTarget, port: number, cri: Cri): Promise<void> {
  const socket = await dial(target.hostNetwork ? '127.0.0.1' : target.podIp, port).catch(() => undefined);
  if (socket === undefined) return await forwardInside(connection, target.sandboxId, port, cri);
  join(connection, socket);
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
}
