/**
 * The server's end of a SPDY/3.1 connection, as kubectl's Go library speaks it: streams, data, resets and pings, without
 * flow control (docs/adr/spdy.md). The client opens all streams.
 */
import type { Duplex } from 'node:stream';
import { Channel } from '#lib/channel.ts';
import { drained } from './drain.ts';
import { createHeaderCodec, type HeaderCodec, type Headers } from './spdy-headers.ts';

export const frameType = { synStream: 1, synReply: 2, rstStream: 3, settings: 4, ping: 6, goAway: 7, headers: 8, windowUpdate: 9 } as const;
export const fin = 1;

const maxControl = 64 * 1024;
const maxData = 16 * 1024 * 1024;
const maxStreams = 1000;
/** Unread bytes of one stream above which the connection is not read on. */
const maxUnread = 1024 * 1024;

export function controlFrame(type: number, flags: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(0x8003, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt32BE(payload.length, 4);
  head[4] = flags;
  return Buffer.concat([head, payload]);
}

export function dataFrame(stream: number, flags: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(stream, 0);
  head.writeUInt32BE(payload.length, 4);
  head[4] = flags;
  return Buffer.concat([head, payload]);
}

const u32 = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
};

export interface SpdyStream {
  readonly id: number;
  /** Lower-case names. */
  readonly headers: Headers;
  /** Ends with the client's last frame, with the stream's reset, or with the connection. */
  readonly incoming: AsyncIterable<Buffer>;
  /** Rejects when the connection is gone. */
  readonly write: (data: Uint8Array) => Promise<void>;
  readonly end: () => Promise<void>;
  readonly reset: () => Promise<void>;
}

interface Open {
  readonly stream: SpdyStream;
  readonly channel: Channel<Buffer>;
  unread: number;
  wake: (() => void) | undefined;
  ended: boolean;
}

interface RawFrame {
  readonly control: boolean;
  /** Frame type, or stream id of data. */
  readonly id: number;
  readonly flags: number;
  readonly payload: Buffer;
}

async function* rawFrames(duplex: Duplex, head: Buffer): AsyncIterable<RawFrame> {
  let rest: Buffer = head;
  const chunks = (duplex as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  for (;;) {
    while (rest.length >= 8) {
      const control = (rest[0] ?? 0) >= 0x80;
      const length = rest.readUInt32BE(4) & 0xffffff;
      if (length > (control ? maxControl : maxData)) throw new RangeError(`SPDY frame of ${length} bytes`);
      if (rest.length < 8 + length) break;
      const id = control ? rest.readUInt16BE(2) : rest.readUInt32BE(0) & 0x7fffffff;
      yield { control, id, flags: rest[4] ?? 0, payload: rest.subarray(8, 8 + length) };
      rest = rest.subarray(8 + length);
    }
    const next = await chunks.next();
    if (next.done === true) return;
    rest = rest.length === 0 ? next.value : Buffer.concat([rest, next.value]);
  }
}

/** A connection whose streams come out of `streams`; `run` reads it until it ends. */
export class SpdyConnection {
  readonly streams = new Channel<SpdyStream>(maxStreams);
  readonly #duplex: Duplex;
  readonly #codec: HeaderCodec = createHeaderCodec();
  readonly #open = new Map<number, Open>();

  constructor(duplex: Duplex) {
    this.#duplex = duplex;
    duplex.on('error', () => duplex.destroy());
    duplex.on('close', () => {
      for (const open of this.#open.values()) open.wake?.();
    });
  }

  /** Resolves when the connection has ended, for whatever reason. Never rejects. `head`: bytes that were read already. */
  async run(head: Buffer): Promise<void> {
    try {
      for await (const frame of rawFrames(this.#duplex, head)) {
        if (frame.control) await this.#control(frame);
        else await this.#data(frame);
      }
    } catch {
      this.#duplex.destroy();
    }
    for (const open of this.#open.values()) open.channel.close();
    this.#open.clear();
    this.streams.close();
    this.#codec.close();
  }

  /** Sends what is pending and closes. */
  close(): void {
    if (!this.#duplex.writableEnded) this.#duplex.end(controlFrame(frameType.goAway, 0, u32(0, 0)));
  }

  async #send(frame: Buffer): Promise<void> {
    if (this.#duplex.destroyed || this.#duplex.writableEnded) throw new Error('the client is gone');
    if (!this.#duplex.write(frame)) await drained(this.#duplex);
  }

  async #control({ id, flags, payload }: RawFrame): Promise<void> {
    if (id === frameType.synStream) await this.#accept(payload, flags);
    else if (id === frameType.headers) await this.#codec.decode(payload.subarray(4));
    else if (id === frameType.ping) await this.#send(controlFrame(frameType.ping, 0, payload));
    else if (id === frameType.rstStream && payload.length >= 4) this.#forget(payload.readUInt32BE(0) & 0x7fffffff);
    // Settings, window updates and GOAWAY ask for nothing.
  }

  #forget(id: number): void {
    const open = this.#open.get(id);
    this.#open.delete(id);
    open?.channel.close();
    open?.wake?.();
  }

  async #accept(payload: Buffer, flags: number): Promise<void> {
    if (payload.length < 10) throw new RangeError('SPDY SYN_STREAM is truncated');
    const id = payload.readUInt32BE(0) & 0x7fffffff;
    const headers = await this.#codec.decode(payload.subarray(10));
    if (this.#open.has(id) || this.#open.size >= maxStreams) throw new RangeError('too many SPDY streams');
    const open = this.#openStream(id, headers);
    this.#open.set(id, open);
    if ((flags & fin) !== 0) open.channel.close();
    await this.#send(controlFrame(frameType.synReply, 0, Buffer.concat([u32(id), await this.#codec.encode({})])));
    this.streams.push(open.stream);
  }

  #openStream(id: number, headers: Headers): Open {
    const channel = new Channel<Buffer>(Number.MAX_SAFE_INTEGER);
    async function* incoming(): AsyncIterable<Buffer> {
      for await (const chunk of channel) {
        open.unread -= chunk.length;
        if (open.unread < maxUnread) open.wake?.();
        yield chunk;
      }
    }
    const stream: SpdyStream = {
      id,
      headers,
      incoming: incoming(),
      write: async (data) => {
        if (open.ended) throw new Error('the stream is closed');
        await this.#send(dataFrame(id, 0, data));
      },
      end: async () => {
        if (open.ended) return;
        open.ended = true;
        await this.#send(dataFrame(id, fin, Buffer.alloc(0)));
      },
      reset: async () => {
        open.ended = true;
        this.#forget(id);
        await this.#send(controlFrame(frameType.rstStream, 0, u32(id, 5)));
      },
    };
    const open: Open = { stream, channel, unread: 0, wake: undefined, ended: false };
    return open;
  }

  async #data({ id, flags, payload }: RawFrame): Promise<void> {
    const open = this.#open.get(id);
    if (open === undefined) return;
    if (payload.length > 0) {
      open.unread += payload.length;
      open.channel.push(payload);
    }
    if ((flags & fin) !== 0) open.channel.close();
    while (open.unread >= maxUnread && this.#open.has(id) && !this.#duplex.destroyed)
      await new Promise<void>((resolve) => {
        open.wake = resolve;
      });
  }
}
