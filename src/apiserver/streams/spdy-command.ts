/** exec and attach over SPDY/3.1: kubelet's remotecommand/httpstream.go. */
import type { Duplex } from 'node:stream';
import { badRequest } from '#kube/status-error.ts';
import { Channel } from '#lib/channel.ts';
import { channels } from './frames.ts';
import type { CommandClient, CommandStatus } from './remote-command.ts';
import { SpdyConnection, type SpdyStream } from './spdy.ts';

const protocols = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io', ''];
const streamsWithinMs = 30_000;

/** The protocol to use of those that the client names. Throws StatusError BadRequest when none is known. */
export function spdyCommandProtocol(header: string | undefined): string {
  const offered = (header ?? '').split(',').map((p) => p.trim());
  const chosen = protocols.find((p) => offered.includes(p));
  if (chosen === undefined)
    throw badRequest(
      `unable to upgrade: unable to negotiate protocol: client supports ${offered.join(', ')}, server supports ${protocols.join(', ')}`,
    );
  return chosen;
}

export function writeSpdyHandshake(socket: Duplex, protocol: string): void {
  const version = protocol === '' ? '' : `X-Stream-Protocol-Version: ${protocol}\r\n`;
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n${version}\r\n`);
}

interface Wanted {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** Waits until the client has opened every stream that the session needs. */
async function collect(connection: SpdyConnection, names: readonly string[]): Promise<ReadonlyMap<string, SpdyStream>> {
  const found = new Map<string, SpdyStream>();
  const late = setTimeout(() => connection.close(), streamsWithinMs);
  try {
    for await (const stream of connection.streams) {
      const name = stream.headers['streamtype'] ?? '';
      if (names.includes(name)) found.set(name, stream);
      if (names.every((n) => found.has(n))) return found;
    }
  } finally {
    clearTimeout(late);
  }
  throw new Error('the client did not open all streams');
}

interface Message {
  readonly channel: number;
  readonly payload: Buffer;
}

/** Messages read ahead of the node: beyond, the client's streams are not read. */
const readAhead = 32;

/** What comes on several streams, in one sequence. */
class Merged {
  readonly #messages = new Channel<Message>(readAhead * 4);
  #wake: (() => void)[] = [];

  async pump(stream: SpdyStream | undefined, channel: number): Promise<void> {
    if (stream === undefined) return;
    for await (const payload of stream.incoming) {
      this.#messages.push({ channel, payload });
      if (this.#messages.size >= readAhead)
        await new Promise<void>((resolve) => {
          this.#wake.push(resolve);
        });
    }
    if (channel === channels.stdin) this.#messages.push({ channel: channels.close, payload: Buffer.of(channels.stdin) });
  }

  close(): void {
    this.#messages.close();
    this.#release();
  }

  async *read(): AsyncIterable<Message> {
    for await (const message of this.#messages) {
      if (this.#messages.size < readAhead / 2) this.#release();
      yield message;
    }
  }

  #release(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const resolve of waiting) resolve();
  }
}

function statusText(protocol: string, status: CommandStatus): string {
  if (protocol === 'v4.channel.k8s.io') return JSON.stringify(status);
  return status.status === 'Success' ? '' : (status.message ?? 'command failed');
}

/** Completes the upgrade and gives the client's side once its streams are there. */
export async function acceptSpdyCommand(socket: Duplex, head: Buffer, protocol: string, wanted: Wanted): Promise<CommandClient> {
  writeSpdyHandshake(socket, protocol);
  const connection = new SpdyConnection(socket);
  const resizes = wanted.tty && (protocol.startsWith('v4') || protocol.startsWith('v3'));
  const names = ['error', ...(['stdin', 'stdout', 'stderr'] as const).filter((n) => wanted[n]), ...(resizes ? ['resize'] : [])];
  const reading = connection.run(head);
  const streams = await collect(connection, names);
  const merged = new Merged();
  void merged.pump(streams.get('stdin'), channels.stdin);
  void merged.pump(streams.get('resize'), channels.resize);
  void reading.then(() => merged.close());
  return {
    send: async (channel, payload) => await streams.get(channel === channels.stderr ? 'stderr' : 'stdout')?.write(payload),
    incoming: merged.read(),
    finish: async (status) => {
      const text = statusText(protocol, status);
      if (text !== '') await streams.get('error')?.write(Buffer.from(text));
      for (const stream of streams.values()) await stream.end();
      connection.close();
    },
    abort: () => {
      merged.close();
      connection.close();
    },
  };
}
