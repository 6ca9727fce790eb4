/** An agent's end of the tunnel, for tests: HTTP/2 served over the websocket that it opens. */

import type { IncomingHttpHeaders } from 'node:http2';
import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { createWebSocketStream, WebSocket } from 'ws';

export type AgentHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** Resolves when the server has taken the connection. */
export async function startFakeAgent(
  url: string,
  handler: AgentHandler,
  options: object = {},
): Promise<{ readonly session: ServerHttp2Session; readonly socket: WebSocket }> {
  const socket = new WebSocket(url, { perMessageDeflate: false, ...options });
  // Made before the socket opens: the server may speak at once.
  const duplex = createWebSocketStream(socket);
  duplex.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', reject);
  });
  const session = performServerHandshake(duplex);
  session.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    handler(stream, headers);
  });
  session.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    session.once('remoteSettings', () => resolve());
  });
  return { session, socket };
}
