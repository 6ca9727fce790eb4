/**
 * Channels over one HTTP/2 stream between server and agent: frames of a 4-byte big-endian length (of what follows), one
 * byte that names the channel, and the payload.
 */
import type { Duplex } from 'node:stream';

export const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** Larger frames end the connection. */
const maxFrame = 4 * 1024 * 1024;

export interface Frame {
  readonly channel: number;
  readonly payload: Buffer;
}

export function encodeFrame(channel: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(5 + payload.length);
  frame.writeUInt32BE(payload.length + 1, 0);
  frame[4] = channel;
  frame.set(payload, 5);
  return frame;
}

/** Cuts a byte stream into frames. Throws RangeError for a frame that is empty or too large. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Iterable<Frame> {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (data.length >= 5) {
      const length = data.readUInt32BE(0);
      if (length < 1 || length > maxFrame) throw new RangeError(`frame of ${length} bytes`);
      if (data.length < 4 + length) break;
      yield { channel: data[4] ?? 0, payload: data.subarray(5, 4 + length) };
      data = data.subarray(4 + length);
    }
    this.#rest = data;
  }
}

/** Frames as they arrive; reading waits for the consumer. */
export async function* readFrames(stream: Duplex): AsyncIterable<Frame> {
  const reader = new FrameReader();
  for await (const chunk of stream as AsyncIterable<Buffer>) yield* reader.push(chunk);
}
