import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LineSplitter, parseLogLine } from './cri-log.ts';
import { type LogQuery, logTail, readLog } from './read.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'k3ts-log-'));
  path = join(dir, '0.log');
});
afterEach(() => rmSync(dir, { recursive: true }));

const line = (second: number, text: string, stream = 'stdout', tag = 'F'): string =>
  `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000000Z ${stream} ${tag} ${text}\n`;
const done = { ended: () => true };
async function read(query: LogQuery): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of readLog(path, query, done, new AbortController().signal)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

describe('format', () => {
  test('a line has a time, a stream, a tag and text that may hold anything', () => {
    expect(parseLogLine(Buffer.from('2026-01-01T00:00:00Z stderr P a b'))).toEqual({
      time: '2026-01-01T00:00:00Z',
      stream: 'stderr',
      partial: true,
      text: Buffer.from('a b'),
    });
    expect(parseLogLine(Buffer.from('2026-01-01T00:00:00Z stdout F'))?.text.length).toBe(0);
    expect(parseLogLine(Buffer.from('garbage'))).toBeUndefined();
  });

  test('lines come whole, however the bytes arrive', () => {
    const splitter = new LineSplitter();
    const lines = 'ab\ncd\ne'.split('').flatMap((c) => [...splitter.push(Buffer.from(c))].map(String));
    expect(lines).toEqual(['ab', 'cd']);
    expect(splitter.pending).toBe(1);
  });
});

describe('reading', () => {
  beforeEach(() =>
    writeFileSync(path, line(1, 'one') + line(2, 'two', 'stderr') + line(3, 'th', 'stdout', 'P') + line(3, 'ree') + line(4, 'four')),
  );

  test.each([
    ['everything', {}, 'one\ntwo\nthree\nfour\n'],
    ['the last lines', { tailLines: 1 }, 'four\n'],
    ['none of the last lines', { tailLines: 0 }, ''],
    ['more lines than there are', { tailLines: 100 }, 'one\ntwo\nthree\nfour\n'],
    ['since a time', { sinceMs: Date.UTC(2026, 0, 1, 0, 0, 3) }, 'three\nfour\n'],
    ['so many bytes', { limitBytes: 5 }, 'one\nt'],
    ['one stream', { stream: 'stderr' }, 'two\n'],
    [
      'with times, once for each line',
      { timestamps: true, sinceMs: Date.UTC(2026, 0, 1, 0, 0, 3) },
      '2026-01-01T00:00:03.000000000Z three\n2026-01-01T00:00:04.000000000Z four\n',
    ],
  ] as const)('%s', async (_, query, expected) => {
    expect(await read(query)).toBe(expected);
  });

  test('the end of a log as text, bounded', async () => {
    expect(await logTail(path, 80, 6)).toBe('\nfour\n');
    expect(await logTail(join(dir, 'gone.log'), 80, 100)).toBe('');
  });
});

test('following goes on over a rotation and ends with the container', async () => {
  writeFileSync(path, line(1, 'one'));
  let ended = false;
  let notify = (): void => undefined;
  const writer = {
    ended: () => ended,
    onChange: (fn: () => void) => {
      notify = fn;
      return () => undefined;
    },
  };
  const seen: string[] = [];
  for await (const chunk of readLog(path, { follow: true }, writer, new AbortController().signal)) {
    seen.push(chunk.toString('utf8'));
    if (seen.length === 1) appendFileSync(path, line(2, 'two'));
    if (seen.length === 2) {
      renameSync(path, `${path}.20260101-000000`);
      writeFileSync(path, line(3, 'three'));
    }
    if (seen.length === 3) {
      appendFileSync(path, line(4, 'four'));
      ended = true;
      notify();
    }
  }
  expect(seen.join('')).toBe('one\ntwo\nthree\nfour\n');
});
