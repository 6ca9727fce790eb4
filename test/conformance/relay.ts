/**
 * Run in a node's network: passes connections on between it and sockets in the file system, which every network namespace
 * shares. Arguments are pairs of what to listen on and where to connect: a path, or host:port. Prints a line when all listen.
 */
import { once } from 'node:events';
import { connect, createServer, type NetConnectOpts } from 'node:net';
import { pipeline } from 'node:stream';

function parse(text: string): NetConnectOpts {
  const at = text.lastIndexOf(':');
  return text.startsWith('/') ? { path: text } : { host: text.slice(0, at), port: Number(text.slice(at + 1)) };
}

const words = process.argv.slice(2);
for (let i = 0; i + 1 < words.length; i += 2) {
  const server = createServer((socket) => {
    const target = connect(parse(words[i + 1] ?? ''));
    // A connection that breaks off on one side is closed on the other: that is all there is to do.
    pipeline(socket, target, () => undefined);
    pipeline(target, socket, () => undefined);
  });
  server.listen(parse(words[i] ?? ''));
  await once(server, 'listening');
}
process.stdout.write('listening\n');
