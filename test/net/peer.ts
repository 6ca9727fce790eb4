/** Worker: a host or pod. Servers answer with their name and the address they see the client under. */
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { connect, createServer } from 'node:net';
import { serveCommands } from './namespaces.ts';

type Args = Readonly<Record<string, never>>;
const text = (args: Args, key: string): string => String(args[key] as unknown);
const number = (args: Args, key: string): number => Number(args[key] as unknown);

const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '');

function listen(args: Args): Promise<void> {
  const name = text(args, 'name');
  const tcp = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(`${name} ${plain(socket.remoteAddress)}`);
  });
  const udp = createSocket('udp4');
  udp.on('message', (_, from) => udp.send(`${name} ${from.address}`, from.port, from.address));
  return new Promise((resolve, reject) => {
    tcp.on('error', reject);
    tcp.listen(number(args, 'port'), '0.0.0.0', () => udp.bind(number(args, 'port'), '0.0.0.0', () => resolve()));
  });
}

/** What the server said, or the error's code, or "timeout". */
function tcp(args: Args): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({
      host: text(args, 'host'),
      port: number(args, 'port'),
      ...(args['localPort'] === undefined ? {} : { localPort: number(args, 'localPort') }),
    });
    let received = '';
    const timer = setTimeout(() => {
      socket.destroy();
      resolve('timeout');
    }, 1500);
    if (args['send'] !== undefined) socket.write(text(args, 'send'));
    socket.on('data', (chunk) => {
      received += chunk.toString();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      resolve(error.code ?? error.message);
    });
    socket.on('end', () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(received);
    });
  });
}

function udp(args: Args): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const end = (result: string): void => {
      clearTimeout(timer);
      socket.close();
      resolve(result);
    };
    const timer = setTimeout(() => end('timeout'), 1500);
    socket.on('message', (message) => end(message.toString()));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    socket.bind(args['localPort'] === undefined ? 0 : number(args, 'localPort'), () => {
      socket.connect(number(args, 'port'), text(args, 'host'), () => socket.send('?'));
    });
  });
}

async function dns(args: Args): Promise<string> {
  const resolver = new Resolver({ timeout: 1500, tries: 1 });
  resolver.setServers([text(args, 'server')]);
  try {
    const records = await resolver.resolve(text(args, 'name'), text(args, 'type') as 'A');
    return JSON.stringify(records);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

serveCommands({ listen, tcp, udp, dns });
