/** Port forwarding over a plain websocket: for port i, channel 2i carries data and channel 2i+1 errors. */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { bytesOf, messageSender } from './websocket-command.ts';

export const portProtocols: readonly string[] = [
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
  '',
];

type Dial = (port: number, signal: AbortSignal) => Promise<Duplex>;

export async function servePortsOverWebSocket(websocket: WebSocket, protocol: string, ports: readonly number[], dial: Dial): Promise<void> {
  const base64 = protocol.includes('base64');
  const gone = new AbortController();
  const write = messageSender(websocket);
  const send = (channel: number, payload: Buffer): Promise<void> =>
    write(base64 ? `${String.fromCharCode(0x30 + channel)}${payload.toString('base64')}` : Buffer.concat([Buffer.of(channel), payload]));
  websocket.on('close', () => gone.abort(new Error('the client is gone')));
  websocket.on('error', () => websocket.terminate());
  const connections: (Duplex | undefined)[] = ports.map(() => undefined);
  const waiting: Buffer[][] = ports.map(() => []);
  websocket.on('message', (data) => {
    const raw = bytesOf(data);
    const channel = base64 ? (raw[0] ?? 0) - 0x30 : (raw[0] ?? 0);
    if (channel % 2 !== 0 || channel / 2 >= ports.length) return;
    const payload = base64 ? Buffer.from(raw.subarray(1).toString('latin1'), 'base64') : raw.subarray(1);
    const connection = connections[channel / 2];
    if (connection === undefined) waiting[channel / 2]?.push(payload);
    else if (!connection.destroyed && !connection.write(payload)) {
      websocket.pause();
      connection.once('drain', () => websocket.resume());
      connection.once('close', () => websocket.resume());
    }
    // Until all are connected nothing more than a few messages is taken.
    if (connection === undefined && (waiting[channel / 2]?.length ?? 0) > 16) websocket.pause();
  });
  const serve = async (port: number, i: number): Promise<void> => {
    try {
      const number = Buffer.alloc(2);
      number.writeUInt16LE(port);
      await send(2 * i, number);
      await send(2 * i + 1, number);
      const connection = await dial(port, gone.signal);
      gone.signal.addEventListener('abort', () => connection.destroy(), { once: true });
      for (const payload of waiting[i] ?? []) connection.write(payload);
      connections[i] = connection;
      websocket.resume();
      for await (const chunk of connection as AsyncIterable<Buffer>) await send(2 * i, chunk);
    } catch (error) {
      await send(2 * i + 1, Buffer.from(error instanceof Error ? error.message : String(error))).catch(() => undefined);
    }
  };
  await Promise.all(ports.map(serve));
  websocket.close(1000);
}
