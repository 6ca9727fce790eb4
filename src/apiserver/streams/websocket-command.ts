/** exec and attach over websockets: apimachinery util/httpstream/wsstream and kubelet's remotecommand/websocket. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { Channel } from '#lib/channel.ts';
import { channels } from './frames.ts';
import type { CommandClient, CommandStatus } from './remote-command.ts';

interface Protocol {
  readonly version: number;
  readonly base64: boolean;
}

const protocols: Readonly<Record<string, Protocol>> = {
  '': { version: 1, base64: false },
  'channel.k8s.io': { version: 1, base64: false },
  'base64.channel.k8s.io': { version: 1, base64: true },
  'v4.channel.k8s.io': { version: 4, base64: false },
  'v4.base64.channel.k8s.io': { version: 4, base64: true },
  'v5.channel.k8s.io': { version: 5, base64: false },
};

const maxMessage = 4 * 1024 * 1024;
/** Messages read ahead of the node: beyond, the socket is not read. */
const readAhead = 64;

export const offeredProtocols = (header: string | undefined): readonly string[] =>
  (header ?? '')
    .split(',')
    .map((p) => p.trim())
    .filter((p) => p !== '');

/** The first protocol that the client offers and this server knows; undefined: none. Bearer tokens travel as protocols, too. */
export function chooseProtocol(header: string | undefined, known: readonly string[]): string | undefined {
  const offered = offeredProtocols(header).filter((p) => !p.startsWith('base64url.bearer.'));
  if (offered.length === 0) return known.includes('') ? '' : undefined;
  return offered.find((p) => known.includes(p));
}

export const commandProtocols: readonly string[] = Object.keys(protocols);

/**
 * Completes the handshake with a protocol that chooseProtocol gave. The header is kept from ws, which refuses what is no
 * token, such as kubectl's SPDY/3.1+portforward.k8s.io.
 */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: string,
  maxPayload = maxMessage,
): Promise<WebSocket> {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload });
  delete request.headers['sec-websocket-protocol'];
  if (protocol !== '') server.on('headers', (headers) => headers.push(`Sec-WebSocket-Protocol: ${protocol}`));
  return new Promise((resolve) => {
    server.handleUpgrade(request, socket, head, resolve);
  });
}

export function bytesOf(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

/**
 * Sends messages one by one: the next is written when the one before has gone, so that no two share a TLS record. Clients
 * that poll their socket before each read (Python's) do not see what their TLS library holds back. As soon as a message
 * cannot be sent, neither can those after it.
 */
export function messageSender(websocket: WebSocket): (data: Buffer | string) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  const write = (data: Buffer | string): Promise<void> =>
    new Promise((resolve, reject) => {
      if (websocket.readyState !== websocket.OPEN) throw new Error('the client is gone');
      websocket.send(data, { binary: typeof data !== 'string' }, (error) => (error instanceof Error ? reject(error) : resolve()));
    });
  return (data) => {
    last = last.then(() => write(data));
    return last;
  };
}

function decode(protocol: Protocol, data: RawData): { readonly channel: number; readonly payload: Buffer } | undefined {
  const raw = bytesOf(data);
  if (raw.length === 0) return undefined;
  if (!protocol.base64) return { channel: raw[0] ?? 0, payload: raw.subarray(1) };
  return { channel: (raw[0] ?? 0x30) - 0x30, payload: Buffer.from(raw.subarray(1).toString('latin1'), 'base64') };
}

function encode(protocol: Protocol, channel: number, payload: Buffer): Buffer | string {
  if (protocol.base64) return `${channel}${payload.toString('base64')}`;
  return Buffer.concat([Uint8Array.of(channel), payload]);
}

const clientChannels = new Set<number>([channels.stdin, channels.resize, channels.close]);

/** What a client is told on the error channel: from v4 on the Status, before that the text of a failure. */
function statusPayload(protocol: Protocol, status: CommandStatus): Buffer | undefined {
  if (protocol.version >= 4) return Buffer.from(JSON.stringify(status));
  return status.status === 'Success' ? undefined : Buffer.from(status.message ?? 'command failed');
}

export function websocketClient(websocket: WebSocket, name: string): CommandClient {
  const protocol = protocols[name] ?? { version: 1, base64: false };
  const incoming = new Channel<{ readonly channel: number; readonly payload: Buffer }>(readAhead * 2);
  websocket.on('message', (data) => {
    const message = decode(protocol, data);
    if (message === undefined || !clientChannels.has(message.channel)) return;
    // An empty stdin message of the old protocols means nothing.
    if (message.channel === channels.stdin && message.payload.length === 0) return;
    if (incoming.size >= readAhead) websocket.pause();
    incoming.push(message);
  });
  websocket.on('close', () => incoming.close());
  websocket.on('error', () => websocket.terminate());
  const send = messageSender(websocket);
  async function* read() {
    for await (const message of incoming) {
      yield message;
      if (websocket.isPaused && incoming.size < readAhead / 2) websocket.resume();
    }
  }
  return {
    send: (channel, payload) => send(encode(protocol, channel, payload)),
    incoming: read(),
    finish: async (status) => {
      const payload = statusPayload(protocol, status);
      if (payload !== undefined) await send(encode(protocol, channels.error, payload));
      websocket.close(1000);
    },
    abort: () => {
      incoming.close();
      if (websocket.readyState === websocket.OPEN) websocket.close(1000);
    },
  };
}
