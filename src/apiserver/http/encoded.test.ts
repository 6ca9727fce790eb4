import { expect, test } from 'vitest';
import { builtinKinds } from '#resources/index.ts';
import { looseEntry } from '../view.ts';
import { EncodedCache } from './encoded.ts';

const [def, other] = builtinKinds;
if (def === undefined || other === undefined) throw new Error('no kinds');
const entry = (key: string) => looseEntry({ key, value: Buffer.from('{}'), revision: 1, createRevision: 1 });

test('bytes are made once for each kind and form, until newer ones need the room', () => {
  const cache = new EncodedCache(25);
  const made: string[] = [];
  const ask = (e: ReturnType<typeof entry>, form: string, as = def) => {
    const bytes = cache.bytes(as, e, form, () => {
      made.push(`${e.key} ${form} ${as.ref.kind}`);
      return Buffer.alloc(10);
    });
    expect(bytes).toHaveLength(10);
    return made.splice(0).length;
  };
  const [a, b, c] = [entry('a'), entry('b'), entry('c')];
  expect([ask(a, 'ADDED'), ask(a, 'ADDED'), ask(a, 'MODIFIED'), ask(a, 'ADDED')]).toEqual([1, 0, 1, 0]);
  expect([ask(b, 'ADDED'), ask(b, 'ADDED', other), ask(b, 'ADDED')]).toEqual([1, 1, 0]);
  expect([ask(c, 'ADDED'), ask(c, 'ADDED'), ask(b, 'ADDED'), ask(a, 'ADDED')]).toEqual([1, 0, 1, 1]);
});
