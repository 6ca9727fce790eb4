import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { decode, encode } from 'dns-packet';
import { expect, test } from 'vitest';
import { realClock } from '#platform/clock.ts';
import { realRandom } from '#platform/random.ts';
import { parseResolvConf } from './resolv-conf.ts';
import { createUpstream, type Resolver } from './upstream.ts';
import { parseQuery, type Query } from './wire.ts';

function query(name: string): Query {
  const parsed = parseQuery(encode({ type: 'query', id: 9, flags: 0x100, questions: [{ type: 'A', name }] }));
  if (!parsed.ok) throw new Error('bad query');
  return parsed.query;
}

/** A resolver on loopback that answers as told; `tc` makes it say by UDP that the answer is to be had by TCP. */
async function resolver(reply: (name: string) => string, tc = false): Promise<Resolver & { close: () => Promise<void>; asked: string[] }> {
  const asked: string[] = [];
  const answer = (message: Buffer, cut: boolean): Buffer => {
    const packet = decode(message);
    const name = packet.questions?.[0]?.name ?? '';
    const answers = cut ? [] : [{ type: 'A' as const, name, ttl: 1, data: reply(name) }];
    return encode({ type: 'response', id: packet.id ?? 0, flags: cut ? 0x200 : 0, questions: packet.questions ?? [], answers });
  };
  const udp = createSocket('udp4');
  await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', () => resolve()));
  const { port } = udp.address();
  udp.on('message', (message, from) => {
    asked.push('udp');
    // First one with a wrong id: a forger's.
    const forged = answer(message, false);
    forged.writeUInt16BE((forged.readUInt16BE(0) + 1) & 0xffff, 0);
    udp.send(forged, from.port, from.address, () => udp.send(answer(message, tc), from.port, from.address));
  });
  const tcp = createServer((socket) => {
    socket.on('data', (chunk: Buffer) => {
      asked.push('tcp');
      const bytes = answer(chunk.subarray(2), false);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(bytes.length, 0);
      socket.end(Buffer.concat([length, bytes]));
    });
  });
  await new Promise<void>((resolve) => tcp.listen(port, '127.0.0.1', () => resolve()));
  const close = async (): Promise<void> => {
    await Promise.all([new Promise<void>((r) => udp.close(() => r())), new Promise<void>((r) => tcp.close(() => r()))]);
  };
  return { address: '127.0.0.1', port, close, asked };
}

const ask = async (resolvers: readonly Resolver[], name = 'example.org') => {
  const upstream = createUpstream({ clock: realClock, random: realRandom, resolvers: () => resolvers });
  const reply = await upstream.ask(query(name));
  const [first] = reply === undefined ? [] : (decode(reply).answers ?? []);
  return first !== undefined && 'data' in first ? first.data : undefined;
};

test('the first answer with the right id counts', async () => {
  const r = await resolver(() => '203.0.113.9');
  expect(await ask([r])).toBe('203.0.113.9');
  await r.close();
});

test('a cut answer is fetched by TCP', async () => {
  const r = await resolver(() => '203.0.113.9', true);
  expect(await ask([r])).toBe('203.0.113.9');
  expect(r.asked).toEqual(['udp', 'tcp']);
  await r.close();
});

test('a resolver whose port is closed is passed over at once', async () => {
  const closed = await resolver(() => '');
  await closed.close();
  const r = await resolver(() => '203.0.113.9');
  expect(await ask([closed, r])).toBe('203.0.113.9');
  await r.close();
});

test('without resolvers there is no answer', async () => {
  expect(await ask([])).toBeUndefined();
});

test('resolv.conf gives at most three resolvers, and never ourselves', () => {
  const text =
    'search x\nnameserver 10.43.0.10\n# nameserver 9.9.9.9\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver bad\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n';
  expect(parseResolvConf(text, new Set(['10.43.0.10'])).map((r) => r.address)).toEqual(['192.0.2.1', 'fe80::1%eth0', '192.0.2.2']);
});
