/** Upgrade requests: handed to who takes them over, watches over a websocket, or refused with a Status. */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { WebSocketServer } from 'ws';
import { StatusError, toStatus } from '#kube/status-error.ts';
import type { ApiRequest, ApiResponse } from '../contract.ts';
import type { EncodedCache } from './encoded.ts';
import { frameWriter } from './frames.ts';
import { negotiate } from './negotiate.ts';

/** Unsent bytes above which a websocket watcher is cut off. */
const maxBuffered = 16 * 1024 * 1024;

export async function acceptUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  apiRequest: ApiRequest,
  response: ApiResponse,
  encoded: EncodedCache,
): Promise<void> {
  if (response.type === 'upgrade') response.accept(request, socket, head);
  else if (response.type === 'watch') await watchOverWebsocket(request, socket, head, apiRequest, response, encoded);
  else if (response.type === 'stream') await passRefusal(socket, response);
  else refuse(socket, response);
}

/** Another server's answer to a request that it did not want to upgrade. */
async function passRefusal(socket: Duplex, response: Extract<ApiResponse, { type: 'stream' }>): Promise<void> {
  const { status, contentType, stream } = response;
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: ${contentType}\r\nConnection: close\r\n\r\n`);
  await pipeline(stream, socket).catch(() => socket.destroy());
}

function refuse(socket: Duplex, response: Exclude<ApiResponse, { type: 'upgrade' | 'watch' | 'stream' }>): void {
  const status = Math.max(response.status, 400);
  const object =
    response.type === 'object' && response.status >= 400
      ? response.object
      : toStatus(new StatusError('BadRequest', 'this request cannot be upgraded'));
  const body = `${JSON.stringify(object)}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

async function watchOverWebsocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  apiRequest: ApiRequest,
  response: Extract<ApiResponse, { type: 'watch' }>,
  encoded: EncodedCache,
): Promise<void> {
  const write = frameWriter(
    response.def,
    {
      representation: negotiate(apiRequest.headers['accept']),
      pretty: false,
      now: new Date(),
      includeObject: apiRequest.query.get('includeObject') ?? '',
    },
    encoded,
  );
  const server = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 });
  const websocket = await new Promise<import('ws').WebSocket>((resolve) => {
    server.handleUpgrade(request, socket, head, resolve);
  });
  const messages = response.messages[Symbol.asyncIterator]();
  websocket.on('error', () => websocket.terminate());
  websocket.on('close', () => {
    void messages.return?.();
  });
  for (;;) {
    const next = await messages.next();
    if (next.done === true || websocket.readyState !== websocket.OPEN) break;
    for (const frame of write(next.value)) websocket.send(frame.subarray(0, frame.length - 1), { binary: false });
    if (websocket.bufferedAmount > maxBuffered) break;
  }
  await messages.return?.();
  websocket.close();
}
