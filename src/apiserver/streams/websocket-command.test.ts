import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { testTls } from '../testing.ts';
import { channels } from './frames.ts';
import { acceptWebSocket, websocketClient } from './websocket-command.ts';

/** Lengths of the websocket frames in a piece of what a server sent; throws when one is cut. */
function frames(bytes: Buffer): number[] {
  const lengths: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    const header = short < 126 ? 2 : 4;
    const end = at + header + (short < 126 ? short : bytes.readUInt16BE(at + 2));
    if (end > bytes.length) throw new Error('a frame is cut');
    lengths.push(end - at);
    at = end;
  }
  return lengths;
}

test('no two messages share a TLS record: clients that poll the socket would wait for the second', async () => {
  const tls = testTls();
  const server = createServer(tls.server);
  server.on('upgrade', (request, socket, head: Buffer) => {
    void acceptWebSocket(request, socket, head, 'v4.channel.k8s.io').then(async (websocket) => {
      const client = websocketClient(websocket, 'v4.channel.k8s.io');
      for (let i = 0; i < 20; i++) void client.send(channels.stdout, Buffer.alloc(1000));
      await client.finish({ metadata: {}, status: 'Success' });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect({ port: (server.address() as AddressInfo).port, ca: tls.ca, host: '127.0.0.1' });
  socket.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  // Node hands on what it decrypts record by record.
  const records: Buffer[] = [];
  const closeFrame = Buffer.from([0x88, 2, 1000 >> 8, 1000 & 0xff]);
  for await (const record of socket as AsyncIterable<Buffer>) {
    records.push(record);
    if (record.subarray(-closeFrame.length).equals(closeFrame)) break;
  }
  socket.destroy();
  server.close();
  expect(records.shift()?.toString()).toMatch(/^HTTP\/1\.1 101 [\s\S]*\r\n\r\n$/);
  expect(records.map((r) => frames(r).length)).toEqual(Array.from({ length: 22 }, () => 1));
});
