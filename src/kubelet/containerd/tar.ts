/** Just enough of the tar format (POSIX.1-1988 ustar) to write a small archive in memory. */

export interface TarEntry {
  readonly name: string;
  readonly mode: number;
  readonly content: Uint8Array;
}

const block = 512;

function header(entry: TarEntry): Buffer {
  const bytes = Buffer.alloc(block);
  if (Buffer.byteLength(entry.name) > 100) throw new Error(`name too long for this archive: ${entry.name}`);
  const octal = (value: number, offset: number, length: number): void => {
    bytes.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, 'latin1');
  };
  bytes.write(entry.name, 0, 'utf8');
  octal(entry.mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(entry.content.length, 124, 12);
  octal(0, 136, 12);
  bytes.write('        ', 148, 'latin1');
  bytes.write('0', 156, 'latin1');
  bytes.write('ustar\x0000', 257, 'latin1');
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}

/** An archive of plain files owned by root, without times, so that equal input gives equal bytes. */
export function tar(entries: readonly TarEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const entry of entries) {
    const rest = entry.content.length % block;
    parts.push(header(entry), Buffer.from(entry.content), Buffer.alloc(rest === 0 ? 0 : block - rest));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}
