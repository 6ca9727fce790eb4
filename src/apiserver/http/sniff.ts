import type { Http2SecureServer } from 'node:http2';
import type { Socket } from 'node:net';

const firstByteWithinMs = 10_000;
const tlsHandshake = 0x16;

/** Hands TLS connections to the server; whoever speaks plain HTTP is told what Go tells it. */
export function sniff(socket: Socket, server: Http2SecureServer): void {
  const onProblem = (): void => {
    socket.destroy();
  };
  socket.on('error', onProblem);
  socket.setTimeout(firstByteWithinMs, onProblem);
  socket.once('readable', () => {
    const first: unknown = socket.read(1);
    if (!Buffer.isBuffer(first)) {
      socket.destroy();
      return;
    }
    socket.setTimeout(0);
    socket.removeListener('timeout', onProblem);
    if (first[0] !== tlsHandshake) {
      socket.end('HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n');
      return;
    }
    socket.unshift(first);
    server.emit('connection', socket);
  });
}
