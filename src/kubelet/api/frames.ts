/**
 * How the streams of exec and attach share one HTTP/2 stream between API server and node: frames of a 4-byte big-endian
 * length (channel and payload), one byte channel, payload.
 */

export const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

export interface Frame {
  readonly channel: number;
  readonly payload: Buffer;
}

/** Longer frames are refused: nobody may make the other side hold more. */
const maxFrameBytes = 4 * 1024 * 1024;

export function encodeFrame(channel: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + 1, 0);
  head.writeUInt8(channel, 4);
  return Buffer.concat([head, payload]);
}

/** Says that nothing more comes on a channel. */
export const closeFrame = (channel: number): Buffer => encodeFrame(channels.close, Uint8Array.of(channel));

/** Puts frames together from chunks of any size. */
export class FrameDecoder {
  #rest: Buffer = Buffer.alloc(0);

  /** Throws when a frame is malformed. */
  *push(chunk: Buffer): Generator<Frame> {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (data.length >= 5) {
      const length = data.readUInt32BE(0);
      if (length < 1 || length > maxFrameBytes) throw new Error(`a frame of ${length} bytes is not allowed`);
      if (data.length < 4 + length) break;
      yield { channel: data.readUInt8(4), payload: data.subarray(5, 4 + length) };
      data = data.subarray(4 + length);
    }
    this.#rest = data;
  }
}
