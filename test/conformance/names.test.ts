/** docs/conformance.md tells the truth: each test of upstream that it says is covered here has a test of its name. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');

interface Row {
  readonly name: string;
  readonly upstream: string;
  readonly here: string;
}

const rows: readonly Row[] = readFileSync(join(root, 'docs/conformance.md'), 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, name = '', upstream = '', here = ''] =
      line.split(' | ').length === 3 ? (/^\| (.*) \| (\S+\.go) \| (.*) \|$/.exec(line) ?? []) : [];
    return name === '' ? [] : [{ name, upstream, here }];
  });

/** The texts in a file, as patterns: what is put into a template may be anything. */
function texts(file: string): readonly RegExp[] {
  const source = readFileSync(join(root, file), 'utf8');
  const literal = /'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\\n]|\\.)*)`/g;
  return [...source.matchAll(literal)].flatMap(([, a, b, c]) => {
    const text = (a ?? b ?? c ?? '').replaceAll(/\\(['"`])/g, '$1');
    const parts = text.split(/\$\{[^}]*\}/);
    // Little text around much that is put in would fit every name.
    if (parts.join('').replaceAll(/\W/g, '').length < 12) return [];
    const pattern = parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join('.+');
    return [new RegExp(`(?:^| )${pattern}$`)];
  });
}

test('there are as many names as upstream has conformance tests of these areas', () => {
  expect(rows.length).toBeGreaterThan(150);
  expect(new Set(rows.map((r) => `${r.name} ${r.upstream}`)).size).toBe(rows.length);
});

test('each file that is named exists', () => {
  const files = rows.flatMap(({ here }) => here.match(/(?:test|src)\/[\w./-]+/g) ?? []);
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});

test('what is covered in test/conformance has a test of its name there', () => {
  const here = rows.filter((r) => /^`test\/conformance\/\S+`$/.test(r.here));
  const known = new Map<string, readonly RegExp[]>();
  const missing = here.filter(({ name, here: cell }) => {
    const file = cell.slice(1, -1);
    const patterns = known.get(file) ?? texts(file);
    known.set(file, patterns);
    return !patterns.some((p) => p.test(name));
  });
  expect(missing.map((r) => `${r.name}: ${r.here}`)).toEqual([]);
  expect(here.length).toBeGreaterThan(130);
});
