/** Sockets of the DNS server: UDP and TCP on port 53 of each cluster DNS address. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '#platform/log.ts';
import type { Responder } from './responder.ts';

export interface DnsServerOptions {
  readonly addresses: readonly string[];
  /** 53 but for tests; 0 picks one (the same for UDP and TCP is not promised then). */
  readonly port: number;
  readonly responder: Responder;
  readonly log: Logger;
}

export interface DnsServer {
  readonly close: () => Promise<void>;
  readonly udpPorts: readonly number[];
  readonly tcpPorts: readonly number[];
}

const maxTcpConnections = 256;
const tcpIdleMs = 10_000;
/** Queries a TCP client may have unanswered. */
const maxPipelined = 32;
/** UDP queries being worked on; beyond it new ones are dropped, and clients ask again. */
const maxUdpPending = 4000;

/** Opens all sockets, or none: rejects when one cannot be opened. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const closers: (() => Promise<void>)[] = [];
  const udpPorts: number[] = [];
  const tcpPorts: number[] = [];
  try {
    for (const address of options.addresses) {
      const udp = await openUdp(address, options);
      closers.push(() => new Promise((resolve) => udp.close(() => resolve())));
      udpPorts.push(udp.address().port);
      const tcp = await openTcp(address, options);
      closers.push(tcp.close);
      tcpPorts.push(tcp.port);
    }
  } catch (error) {
    await Promise.all(closers.map((c) => c()));
    throw error;
  }
  return {
    udpPorts,
    tcpPorts,
    close: async () => {
      await Promise.all(closers.map((c) => c()));
    },
  };
}

function openUdp(address: string, { port, responder, log }: DnsServerOptions): Promise<UdpSocket> {
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 1024 * 1024 });
  let pending = 0;
  socket.on('message', (message, from) => {
    if (pending >= maxUdpPending) return;
    pending++;
    void responder.respond(message, 'udp').then((reply) => {
      pending--;
      if (reply === undefined) return;
      socket.send(reply, from.port, from.address, (error) => {
        if (error !== null && error !== undefined) log.debug('DNS answer not sent', { to: from.address, error });
      });
    });
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', reject);
      socket.on('error', (error) => log.warn('DNS socket error', { error }));
      resolve(socket);
    });
  });
}

async function openTcp(
  address: string,
  options: DnsServerOptions,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const connections = new Set<Socket>();
  const server: Server = createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    serveTcp(socket, options.responder);
  });
  server.maxConnections = maxTcpConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port: options.port, exclusive: true }, () => {
      server.off('error', reject);
      server.on('error', (error) => options.log.warn('DNS socket error', { error }));
      resolve();
    });
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : options.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const c of connections) c.destroy();
      }),
  };
}

function serveTcp(socket: Socket, responder: Responder): void {
  let received: Buffer = Buffer.alloc(0);
  let pending = 0;
  socket.setTimeout(tcpIdleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    while (received.length >= 2) {
      const length = received.readUInt16BE(0);
      if (received.length < 2 + length) return;
      const message = received.subarray(2, 2 + length);
      received = received.subarray(2 + length);
      if (++pending > maxPipelined) {
        socket.destroy();
        return;
      }
      void responder.respond(message, 'tcp').then((reply) => {
        pending--;
        if (reply === undefined || socket.destroyed) return;
        const head = Buffer.alloc(2);
        head.writeUInt16BE(reply.length, 0);
        socket.write(Buffer.concat([head, reply]));
      });
    }
  });
}
