import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decodeProtobuf, encodeProtobuf } from './protobuf.ts';

/** One object of a kind with every field set, as JSON and as protobuf: Kubernetes' own test data. */
const fixtures = join(import.meta.dirname, 'fixtures', 'roundtrip');
const names = readdirSync(fixtures)
  .filter((f) => f.endsWith('.json'))
  .map((f) => f.slice(0, -'.json'.length));

test.each(names)('%s: protobuf becomes the JSON and the JSON the same bytes', (name) => {
  const bytes = readFileSync(join(fixtures, `${name}.pb`));
  const json = JSON.parse(readFileSync(join(fixtures, `${name}.json`), 'utf8')) as { apiVersion: string; kind: string };
  expect(decodeProtobuf(bytes)).toEqual(json);
  expect(encodeProtobuf(json)?.toString('hex')).toBe(bytes.toString('hex'));
});

test('bytes that are no message are refused', () => {
  const good = readFileSync(join(fixtures, 'core.v1.Pod.pb'));
  for (let i = 0; i < good.length; i += 7) {
    try {
      decodeProtobuf(good.subarray(0, i));
    } catch (error) {
      expect(error).toMatchObject({ reason: 'BadRequest' });
    }
  }
  expect(() => decodeProtobuf(Buffer.from('nonsense'))).toThrow('expected prefix [107 56 115 0]');
});
