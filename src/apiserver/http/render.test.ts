/** Lists are put together from their items: the bytes must be those of the list encoded whole. */
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { decodeProtobuf, encodeProtobuf, encodeProtobufList, messageEncoder, protobufMedia } from '#kube/protobuf.ts';
import { apiVersionOf } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import { bodyOf, startTestServer, type TestServer } from '../testing.ts';

const maps = '/api/v1/namespaces/default/configmaps';
const names = Array.from({ length: 300 }, (_, i) => `m-${String(i).padStart(3, '0')}`);
let t: TestServer;

beforeAll(async () => {
  t = await startTestServer(builtinKinds);
  for (const name of names) await t.call('POST', maps, { metadata: { name, labels: { n: name } }, data: { text: 'a\nb\\n"é\u2028' } });
});

interface List {
  readonly apiVersion: string;
  readonly kind: string;
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

describe.each([300, 1, 0])('a list of %i', (limit) => {
  const list = () => t.call('GET', limit === 0 ? `${maps}?labelSelector=n=none` : `${maps}?limit=${limit}`);
  const plain = async (as?: 'Table' | 'PartialObjectMetadataList') =>
    JSON.parse((await bodyOf(await list(), { representation: { as } })).toString('utf8')) as List;

  test('has its items', async () => {
    expect((await plain()).items.map((item) => item.metadata.name)).toEqual(names.slice(0, limit));
  });

  test.each([undefined, 'Table', 'PartialObjectMetadataList'] as const)('is the same when printed for people, as %s', async (as) => {
    const pretty = await bodyOf(await list(), { representation: { as }, pretty: true });
    expect(pretty.toString('utf8')).toBe(`${JSON.stringify(await plain(as), null, 2)}\n`);
  });

  test('is the same as YAML', async () => {
    const yaml = await bodyOf(await list(), { representation: { media: 'application/yaml' } });
    expect(parse(yaml.toString('utf8'))).toEqual(await plain());
  });

  test.each([undefined, 'PartialObjectMetadataList'] as const)('is the same as protobuf, as %s', async (as) => {
    const bytes = await bodyOf(await list(), { representation: { media: protobufMedia, as } });
    expect(bytes.equals(encodeProtobuf(await plain(as)) ?? Buffer.alloc(0))).toBe(true);
    const { items = [] } = decodeProtobuf(bytes) as Partial<List>;
    expect(items.map((item) => item.metadata.name)).toEqual(names.slice(0, limit));
  });
});

test('lists of every built-in kind are put together as they are encoded whole', () => {
  const listed = builtinKinds.filter((def) => def.verbs?.includes('list') ?? true);
  const different = listed.flatMap((def) => {
    const { kind } = def.ref;
    const apiVersion = apiVersionOf(def.ref);
    const encode = messageEncoder({ kind, apiVersion });
    if (encode === undefined) return [];
    const metadata = { resourceVersion: '7' };
    const items = [{ metadata: { name: 'a' } }, { metadata: { name: 'b' } }];
    const type = { kind: def.listKind ?? `${kind}List`, apiVersion };
    const whole = encodeProtobuf({ ...type, ...{ metadata, items } });
    return whole?.equals(Buffer.concat(encodeProtobufList(type, metadata, items.map(encode)))) === true ? [] : [kind];
  });
  expect(different).toEqual([]);
});
