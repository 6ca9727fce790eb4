/** Asking the host's resolvers: UDP first, TCP where the answer is cut, the next resolver where one is silent. */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { Clock } from '#platform/clock.ts';
import type { Random } from '#platform/random.ts';
import { answers } from './cache.ts';
import type { Query } from './wire.ts';
import { largestUdpSize, types } from './wire.ts';

export interface Resolver {
  readonly address: string;
  readonly port: number;
}

export interface UpstreamDeps {
  readonly clock: Clock;
  readonly random: Pick<Random, 'bytes'>;
  /** Read for each question, as the host's configuration may change. */
  readonly resolvers: () => readonly Resolver[];
}

export interface Upstream {
  /** The raw answer, with an id of its own; undefined when no resolver gave one. Never rejects. */
  readonly ask: (query: Query) => Promise<Buffer | undefined>;
  readonly inFlight: () => number;
}

const perTryMs = 2000;
const rounds = 2;
/** A resolver that did not answer is asked last for so long. */
const demotedMs = 10_000;
/** More questions than this at a time are refused: the resolver is gone, or somebody floods. */
const maxInFlight = 1000;

export function createUpstream(deps: UpstreamDeps): Upstream {
  const silentUntil = new Map<string, number>();
  let inFlight = 0;
  const nameOf = (r: Resolver): string => `${r.address}#${r.port}`;
  const ordered = (): readonly Resolver[] => {
    const now = deps.clock.monotonic();
    const list = deps.resolvers();
    const good = list.filter((r) => (silentUntil.get(nameOf(r)) ?? 0) <= now);
    return [...good, ...list.filter((r) => !good.includes(r))];
  };
  const tryAll = async (query: Query): Promise<Buffer | undefined> => {
    let last: Buffer | undefined;
    for (let round = 0; round < rounds; round++) {
      for (const resolver of ordered()) {
        const id = Buffer.from(deps.random.bytes(2)).readUInt16BE(0);
        const message = encodeQuery(query, id);
        let reply = await overUdp(resolver, message, query, id, deps.clock);
        if (reply !== undefined && (reply.readUInt16BE(2) & 0x0200) !== 0)
          reply = (await overTcp(resolver, message, query, id, deps.clock)) ?? reply;
        if (reply === undefined) {
          silentUntil.set(nameOf(resolver), deps.clock.monotonic() + demotedMs);
          continue;
        }
        silentUntil.delete(nameOf(resolver));
        // SERVFAIL and REFUSED: perhaps the next one knows better.
        const code = reply.readUInt16BE(2) & 15;
        if (code !== 2 && code !== 5) return reply;
        last = reply;
      }
      if (last !== undefined) return last;
    }
    return last;
  };
  return {
    inFlight: () => inFlight,
    ask: async (query) => {
      if (inFlight >= maxInFlight) return undefined;
      inFlight++;
      try {
        return await tryAll(query);
      } finally {
        inFlight--;
      }
    },
  };
}

/** The question anew, with EDNS exactly where the client sent it. */
export function encodeQuery(query: Query, id: number): Buffer {
  const { edns } = query;
  const message = Buffer.alloc(12 + query.question.length + (edns === undefined ? 0 : 11));
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(0x0100 | (query.checkingDisabled ? 0x0010 : 0), 2);
  message.writeUInt16BE(1, 4);
  message.set(query.question, 12);
  if (edns !== undefined) {
    message.writeUInt16BE(1, 10);
    const at = 12 + query.question.length;
    message.writeUInt16BE(types.OPT, at + 1);
    message.writeUInt16BE(largestUdpSize, at + 3);
    message.writeUInt16BE(edns.dnssecOk ? 0x8000 : 0, at + 7);
  }
  return message;
}

const isReply = (message: Buffer, id: number, query: Query): boolean =>
  message.length >= 12 && message.readUInt16BE(0) === id && answers(query, message);

/** From a fresh, random port each time, which is what makes forged answers hard. */
function overUdp(resolver: Resolver, message: Buffer, query: Query, id: number, clock: Clock): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(resolver.address.includes(':') ? 'udp6' : 'udp4');
    let ended = false;
    const end = (reply: Buffer | undefined): void => {
      if (ended) return;
      ended = true;
      timer.cancel();
      socket.close();
      resolve(reply);
    };
    const timer = clock.after(perTryMs, () => end(undefined));
    socket.on('error', () => end(undefined));
    socket.on('message', (reply) => {
      if (isReply(reply, id, query)) end(reply);
    });
    // Connected, so that the kernel takes answers from this resolver only and reports refused ports.
    socket.connect(resolver.port, resolver.address, () => {
      if (!ended) {
        socket.send(message, (error) => {
          if (error !== null && error !== undefined) end(undefined);
        });
      }
    });
  });
}

function overTcp(resolver: Resolver, message: Buffer, query: Query, id: number, clock: Clock): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: resolver.address, port: resolver.port });
    const end = (reply: Buffer | undefined): void => {
      timer.cancel();
      socket.destroy();
      resolve(reply);
    };
    const timer = clock.after(perTryMs, () => end(undefined));
    let received: Buffer = Buffer.alloc(0);
    socket.on('error', () => end(undefined));
    socket.on('close', () => end(undefined));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2) return;
      const length = received.readUInt16BE(0);
      if (received.length < 2 + length) return;
      const reply = received.subarray(2, 2 + length);
      end(isReply(reply, id, query) ? Buffer.from(reply) : undefined);
    });
    socket.on('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length, 0);
      socket.write(Buffer.concat([length, message]));
    });
  });
}
