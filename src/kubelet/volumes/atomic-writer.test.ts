import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkProjectedPath, writeAtomically } from './atomic-writer.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'k3ts-volume-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const payload = (files: Readonly<Record<string, string>>, mode = 0o644) =>
  new Map(Object.entries(files).map(([path, content]) => [path, { content: Buffer.from(content), mode }]));
const visible = (): string[] => readdirSync(dir).filter((name) => !name.startsWith('..'));

test('files show through ..data, folders too, with their modes', async () => {
  await writeAtomically(dir, payload({ a: '1', 'sub/b': '2' }, 0o400));
  expect(visible()).toEqual(['a', 'sub']);
  expect(readlinkSync(join(dir, 'a'))).toBe('..data/a');
  expect(readFileSync(join(dir, 'sub/b'), 'utf8')).toBe('2');
  expect(statSync(join(dir, 'a')).mode & 0o777).toBe(0o400);
});

test('an update changes everything in one step and leaves nothing old behind', async () => {
  await writeAtomically(dir, payload({ a: '1', gone: 'x' }));
  const before = readlinkSync(join(dir, '..data'));
  expect(await writeAtomically(dir, payload({ a: '2', b: '3' }))).toBe(true);
  expect(readlinkSync(join(dir, '..data'))).not.toBe(before);
  expect(visible()).toEqual(['a', 'b']);
  expect(readFileSync(join(dir, 'a'), 'utf8')).toBe('2');
  expect(readdirSync(dir).filter((n) => n.startsWith('..2'))).toHaveLength(1);
});

test('writing what is there already changes nothing', async () => {
  await writeAtomically(dir, payload({ a: '1' }));
  const before = readlinkSync(join(dir, '..data'));
  expect(await writeAtomically(dir, payload({ a: '1' }))).toBe(false);
  expect(readlinkSync(join(dir, '..data'))).toBe(before);
});

test.each(['', '/abs', '../up', 'a/../../b', '..data', 'x/..'])('the path %j is refused', (path) => {
  expect(() => checkProjectedPath(path)).toThrow('invalid path');
});
