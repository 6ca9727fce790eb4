/** Protobuf's wire format: just what Kubernetes' messages use. */

/** What is wrong with bytes that are no message. */
export class WireError extends Error {}

/** Reads one message's bytes. Every method throws WireError where they end too early. */
export class Reader {
  readonly buffer: Buffer;
  at: number;
  readonly end: number;

  constructor(buffer: Buffer, at = 0, end = buffer.length) {
    this.buffer = buffer;
    this.at = at;
    this.end = end;
  }

  done(): boolean {
    return this.at >= this.end;
  }

  /** Low and high 32 bits. */
  #varint(): readonly [number, number] {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) throw new WireError('unexpected EOF');
      const byte = this.buffer[this.at++] ?? 0;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else high |= (bits & 1) << 31;
      if (byte < 0x80) return [low >>> 0, high >>> 0];
    }
    throw new WireError('proto: integer overflow');
  }

  int64(): number {
    const [low, high] = this.#varint();
    return (high | 0) * 2 ** 32 + low;
  }

  int32(): number {
    return this.#varint()[0] | 0;
  }

  uint32(): number {
    return this.#varint()[0];
  }

  double(): number {
    if (this.at + 8 > this.end) throw new WireError('unexpected EOF');
    const value = this.buffer.readDoubleLE(this.at);
    this.at += 8;
    return value;
  }

  /** The bytes of a length-delimited field. */
  bytes(): Buffer {
    const length = this.#varint()[0];
    if (this.at + length > this.end) throw new WireError('unexpected EOF');
    const start = this.at;
    this.at += length;
    return this.buffer.subarray(start, this.at);
  }

  skip(wire: number): void {
    if (wire === 0) this.#varint();
    else if (wire === 1) this.at += 8;
    else if (wire === 2) this.bytes();
    else if (wire === 5) this.at += 4;
    else throw new WireError(`proto: illegal wireType ${wire}`);
    if (this.at > this.end) throw new WireError('unexpected EOF');
  }
}

const firstSize = 8 * 1024;
/** Larger buffers than this are not kept for the next message. */
const spareSize = 256 * 1024;
/** The buffer of the last writer that has finished: most messages are written into one that has grown already. */
let spare: Buffer | undefined;

/**
 * Writes a message from its end to its beginning, so that the length of what is nested is known when it is to be
 * written: fields come in descending order of their numbers.
 */
export class Writer {
  #buffer: Buffer;
  #at: number;

  constructor() {
    this.#buffer = spare ?? Buffer.allocUnsafeSlow(firstSize);
    this.#at = this.#buffer.length;
    spare = undefined;
  }

  /** How many bytes there are so far. */
  length(): number {
    return this.#buffer.length - this.#at;
  }

  #room(count: number): void {
    if (this.#at >= count) return;
    const used = this.length();
    const bigger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, used + count + firstSize));
    this.#buffer.copy(bigger, bigger.length - used, this.#at);
    this.#at = bigger.length - used;
    this.#buffer = bigger;
  }

  varint(value: number): void {
    if (value >= 0 && value < 0x80) {
      this.#room(1);
      this.#buffer[--this.#at] = value;
      return;
    }
    // Negative numbers take ten bytes, as in Go.
    let low = (value % 2 ** 32) >>> 0;
    let high = Math.floor(value / 2 ** 32) >>> 0;
    const bits = high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high);
    const count = Math.ceil(bits / 7);
    this.#room(count);
    this.#at -= count;
    for (let i = 0; i < count; i++) {
      this.#buffer[this.#at + i] = (low & 0x7f) | (i < count - 1 ? 0x80 : 0);
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
  }

  double(value: number): void {
    this.#room(8);
    this.#at -= 8;
    this.#buffer.writeDoubleLE(value, this.#at);
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#at -= bytes.length;
    this.#buffer.set(bytes, this.#at);
  }

  string(text: string): void {
    const length = Buffer.byteLength(text);
    this.#room(length);
    this.#at -= length;
    this.#buffer.write(text, this.#at, 'utf8');
  }

  tag(number: number, wire: number): void {
    this.varint(number * 8 + wire);
  }

  /** What was written, as bytes of their own. Nothing can be written afterwards. */
  finish(): Buffer {
    const bytes = Buffer.from(this.#buffer.subarray(this.#at));
    if (this.#buffer.length <= spareSize) spare = this.#buffer;
    this.#buffer = Buffer.alloc(0);
    this.#at = 0;
    return bytes;
  }
}
