/**
 * The format in which the CRI keeps what containers print: `<RFC 3339 time> <stdout|stderr> <P|F> <text>`, where P is a
 * part of a longer line. (kubernetes design-proposals kubelet-cri-logging; pkg/kubelet/kuberuntime/logs.)
 */

export interface LogLine {
  /** As written, with nanoseconds. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  /** True: the line goes on in the next entry of this stream. */
  readonly partial: boolean;
  readonly text: Buffer;
}

const space = 0x20;

/** Undefined for what is not in the format (a line cut short by a crash). `line` has no newline. */
export function parseLogLine(line: Buffer): LogLine | undefined {
  const a = line.indexOf(space);
  const b = a < 0 ? -1 : line.indexOf(space, a + 1);
  if (b < 0) return undefined;
  const c = line.indexOf(space, b + 1);
  const stream = line.toString('latin1', a + 1, b);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const tags = line.toString('latin1', b + 1, c < 0 ? line.length : c);
  return {
    time: line.toString('latin1', 0, a),
    stream,
    partial: tags.split(':')[0] === 'P',
    text: c < 0 ? Buffer.alloc(0) : line.subarray(c + 1),
  };
}

/** Cuts chunks into lines. What follows the last newline waits for the next chunk; a line longer than `limit` is cut. */
export class LineSplitter {
  #rest: Buffer = Buffer.alloc(0);
  readonly #limit: number;

  constructor(limit = 1024 * 1024) {
    this.#limit = limit;
  }

  /** Bytes held back. */
  get pending(): number {
    return this.#rest.length;
  }

  *push(chunk: Buffer): Generator<Buffer> {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10)) {
      yield data.subarray(0, end);
      data = data.subarray(end + 1);
    }
    if (data.length > this.#limit) {
      yield data;
      data = Buffer.alloc(0);
    }
    this.#rest = Buffer.from(data);
  }
}
