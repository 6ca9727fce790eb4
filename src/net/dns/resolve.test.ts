import { decode, encode, type Packet } from 'dns-packet';
import { describe, expect, test } from 'vitest';
import type { Service, ServiceSpec } from '#kube/generated/core-v1.ts';
import type { Endpoint, EndpointSlice } from '#kube/generated/discovery-v1.ts';
import type { Stored } from '#kube/object.ts';
import { parseCidr } from '#lib/cidr.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { seededRandom } from '#platform/random.ts';
import { createResponder } from './responder.ts';
import type { Upstream } from './upstream.ts';
import { type Query, readName } from './wire.ts';
import { Zone } from './zone.ts';

const meta = (name: string) => ({ name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' });
const service = (name: string, spec: ServiceSpec): Stored<Service> => ({ apiVersion: 'v1', kind: 'Service', metadata: meta(name), spec });
const slice = (name: string, endpoints: readonly Endpoint[]): Stored<EndpointSlice> => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: meta(name),
  addressType: 'IPv4',
  endpoints,
  ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
});

function zoneOf(): Zone {
  const zone = new Zone('cluster.local', ['10.43.0.10']);
  const web = service('web', { clusterIP: '10.43.0.5', clusterIPs: ['10.43.0.5', 'fd00::5'], ports: [{ name: 'http', port: 80 }] });
  zone.setService('default/web', web, []);
  zone.setService('default/db', service('db', { clusterIP: 'None' }), [
    slice('db', [
      { addresses: ['10.42.0.7'], hostname: 'db-0' },
      { addresses: ['10.42.0.8'] },
      { addresses: ['10.42.0.9'], conditions: { ready: false } },
    ]),
  ]);
  zone.setService('default/alias', service('alias', { type: 'ExternalName', externalName: 'Example.COM.' }), []);
  zone.setService('default/inner', service('inner', { type: 'ExternalName', externalName: 'web.default.svc.cluster.local' }), []);
  zone.setNode('node-1', ['192.0.2.1']);
  return zone;
}

interface Setup {
  readonly reply?: (query: Query) => Packet;
  readonly ready?: boolean;
  readonly zone?: Zone;
}

function setup({ reply, ready = true, zone = zoneOf() }: Setup = {}) {
  const clock = fakeClock();
  const asked: string[] = [];
  const upstream: Upstream = {
    inFlight: () => 0,
    ask: async (query) => {
      asked.push(query.name);
      return reply === undefined ? undefined : encode({ ...reply(query), id: 1 });
    },
  };
  const ownNetworks = ['10.42.0.0/16', '10.43.0.0/16'].map(parseCidr).filter((c) => c !== undefined);
  const responder = createResponder({ zone, zoneReady: () => ready, ownNetworks, upstream, clock, random: seededRandom(1) });
  const ask = async (name: string, type = 'A', extra: Partial<Packet> = {}, transport: 'udp' | 'tcp' = 'udp') => {
    const question = { type: type as 'A', name, class: 'IN' as const };
    const bytes = await responder.respond(encode({ type: 'query', id: 77, flags: 0x100, questions: [question], ...extra }), transport);
    if (bytes === undefined) throw new Error('no answer');
    const packet = decode(bytes);
    return { packet, bytes, code: bytes.readUInt16BE(2) & 15, data: (packet.answers ?? []).map((a) => ('data' in a ? a.data : undefined)) };
  };
  return { clock, asked, responder, ask };
}

const codes = { ok: 0, servfail: 2, nx: 3 };

describe('names of the cluster', () => {
  const cases: readonly (readonly [string, string, string, unknown])[] = [
    ['a service', 'web.default.svc.cluster.local', 'A', ['10.43.0.5']],
    ['a service over IPv6', 'web.default.svc.cluster.local', 'AAAA', ['fd00::5']],
    ['in any spelling', 'WEB.Default.svc.CLUSTER.local', 'A', ['10.43.0.5']],
    [
      'a port of a service',
      '_http._tcp.web.default.svc.cluster.local',
      'SRV',
      [{ priority: 0, weight: 100, port: 80, target: 'web.default.svc.cluster.local' }],
    ],
    ['an endpoint with a hostname', 'db-0.db.default.svc.cluster.local', 'A', ['10.42.0.7']],
    ['an endpoint without one', '10-42-0-8.db.default.svc.cluster.local', 'A', ['10.42.0.8']],
    ['the address of a service', '5.0.43.10.in-addr.arpa', 'PTR', ['web.default.svc.cluster.local']],
    ['the address of an endpoint', '7.0.42.10.in-addr.arpa', 'PTR', ['db-0.db.default.svc.cluster.local']],
    ['a pod', '10-42-3-4.kube-system.pod.cluster.local', 'A', ['10.42.3.4']],
    ['an alias inside the cluster', 'inner.default.svc.cluster.local', 'A', ['web.default.svc.cluster.local', '10.43.0.5']],
    ['a node', 'node-1', 'A', ['192.0.2.1']],
    ['the address of a node', '1.2.0.192.in-addr.arpa', 'PTR', ['node-1']],
    ['the DNS server', 'ns.dns.cluster.local', 'A', ['10.43.0.10']],
  ];
  test.each(cases)('%s', async (_, name, type, expected) => {
    const { data, code, packet } = await setup().ask(name, type);
    expect({ code, data }).toEqual({ code: codes.ok, data: expected });
    expect(packet).toMatchObject({ id: 77, flag_aa: true });
  });

  test('a headless service has the addresses of its ready endpoints', async () => {
    const { data } = await setup().ask('db.default.svc.cluster.local');
    expect(data.map(String).toSorted()).toEqual(['10.42.0.7', '10.42.0.8']);
  });

  test('SRV of a headless service brings the addresses of its targets along', async () => {
    const { packet, data } = await setup().ask('_sql._tcp.db.default.svc.cluster.local', 'SRV');
    expect(data).toHaveLength(2);
    expect(packet.additionals?.map((a) => a.name).toSorted()).toEqual([
      '10-42-0-8.db.default.svc.cluster.local',
      'db-0.db.default.svc.cluster.local',
    ]);
  });

  test('the version of the specification', async () => {
    const { data } = await setup().ask('dns-version.cluster.local', 'TXT');
    expect(String((data[0] as unknown[])[0])).toBe('1.1.0');
  });
});

describe('names that do not exist', () => {
  const cases: readonly (readonly [string, string, string, number])[] = [
    ['an unknown service', 'none.default.svc.cluster.local', 'A', codes.nx],
    ['a search path gone astray', 'example.com.default.svc.cluster.local', 'A', codes.nx],
    ['an address of ours without name', '9.9.43.10.in-addr.arpa', 'PTR', codes.nx],
    ['a service without such a record', 'web.default.svc.cluster.local', 'TXT', codes.ok],
    ['a name that only has names below it', '_tcp.web.default.svc.cluster.local', 'A', codes.ok],
    ['a namespace', 'default.svc.cluster.local', 'A', codes.ok],
  ];
  test.each(cases)('%s: no answer, but the SOA says for how long', async (_, name, type, expected) => {
    const { code, data, packet } = await setup().ask(name, type);
    expect({ code, data }).toEqual({ code: expected, data: [] });
    expect(packet.authorities?.[0]).toMatchObject({ type: 'SOA', name: 'cluster.local' });
  });

  test('are not denied while the zone is not filled', async () => {
    expect((await setup({ ready: false }).ask('none.default.svc.cluster.local')).code).toBe(codes.servfail);
  });

  test('do not exist any more once their service is gone, nor do the names above them', async () => {
    const zone = zoneOf();
    const before = zone.size;
    zone.setService('other/x', service('x', { clusterIP: '10.43.0.6', ports: [{ name: 'p', port: 1 }] }), []);
    expect(zone.size).toBeGreaterThan(before);
    zone.setService('other/x', undefined, []);
    expect(zone.size).toBe(before);
  });
});

const answer = (name: string, ttl: number, count = 1): Packet => ({
  type: 'response',
  questions: [{ type: 'A', name, class: 'IN' }],
  answers: Array.from({ length: count }, (_, i) => ({ type: 'A', name, ttl, data: `203.0.113.${i + 1}` })),
});

describe('names of the world', () => {
  test('are asked for once and kept as long as they say', async () => {
    const t = setup({ reply: (q) => answer(q.name, 60) });
    expect((await t.ask('Example.org')).data).toEqual(['203.0.113.1']);
    await t.clock.advance(20_000);
    const again = await t.ask('exAMPLE.org');
    expect(again.packet.answers?.[0]).toMatchObject({ ttl: 40 });
    expect(readName(again.bytes, 12)?.text).toBe('exAMPLE.org');
    expect(again.packet.id).toBe(77);
    expect(t.asked).toEqual(['example.org']);
    await t.clock.advance(41_000);
    await t.ask('example.org');
    expect(t.asked).toHaveLength(2);
  });

  test('that do not exist are kept briefly', async () => {
    const soa = { mname: 'a', rname: 'b', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 3600 };
    const t = setup({
      reply: (q) => ({
        type: 'response',
        flags: 3,
        questions: [{ type: 'A', name: q.name, class: 'IN' }],
        authorities: [{ type: 'SOA', name: 'org', ttl: 3600, data: soa }],
      }),
    });
    expect((await t.ask('no.example.org')).code).toBe(codes.nx);
    await t.clock.advance(29_000);
    await t.ask('no.example.org');
    expect(t.asked).toHaveLength(1);
    await t.clock.advance(2000);
    await t.ask('no.example.org');
    expect(t.asked).toHaveLength(2);
  });

  test('asked for by many at a time are asked for once', async () => {
    const t = setup({ reply: (q) => answer(q.name, 0) });
    await Promise.all(Array.from({ length: 10 }, () => t.ask('example.org')));
    expect(t.asked).toHaveLength(1);
  });

  test('fail when no resolver answers', async () => {
    expect((await setup().ask('example.org')).code).toBe(codes.servfail);
  });

  test('are what an alias may lead to', async () => {
    const t = setup({ reply: (q) => answer(q.name, 60) });
    const { data, packet } = await t.ask('alias.default.svc.cluster.local');
    expect(data).toEqual(['example.com', '203.0.113.1']);
    expect(packet.answers?.map((a) => a.name)).toEqual(['alias.default.svc.cluster.local', 'example.com']);
  });
});

describe('long answers', () => {
  const big = () => {
    const zone = new Zone('cluster.local', []);
    const endpoints = Array.from({ length: 60 }, (_, i) => ({ addresses: [`10.42.1.${i + 1}`] }));
    zone.setService('default/big', service('big', { clusterIP: 'None' }), [slice('big', endpoints)]);
    return setup({ zone });
  };
  const name = 'big.default.svc.cluster.local';
  const edns: Partial<Packet> = {
    additionals: [
      { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, flag_do: false, extendedRcode: 0, ednsVersion: 0, options: [] },
    ],
  };

  test('are cut at 512 bytes and marked over plain UDP', async () => {
    const { bytes, packet } = await big().ask(name);
    expect(bytes.length).toBeLessThanOrEqual(512);
    expect(packet.flag_tc).toBe(true);
    expect(packet.answers?.length).toBeGreaterThan(25);
  });
  test('fit with EDNS, which is answered with EDNS', async () => {
    const { packet } = await big().ask(name, 'A', edns);
    expect(packet.flag_tc).toBe(false);
    expect(packet.answers).toHaveLength(60);
    expect(packet.additionals?.[0]?.type).toBe('OPT');
  });
  test('fit over TCP', async () => {
    expect((await big().ask(name, 'A', {}, 'tcp')).packet.answers).toHaveLength(60);
  });
  test('of other servers become "ask by TCP"', async () => {
    const t = setup({ reply: (q) => answer(q.name, 60, 60) });
    const { packet, data } = await t.ask('example.org');
    expect({ data, cut: packet.flag_tc }).toEqual({ data: [], cut: true });
    expect((await t.ask('example.org', 'A', {}, 'tcp')).data).toHaveLength(60);
    expect(t.asked).toHaveLength(1);
  });
});

describe('what is no proper query', () => {
  test('never throws, whatever the bytes', async () => {
    const { responder } = setup();
    const random = seededRandom(7);
    const valid = encode({ type: 'query', id: 1, flags: 0x100, questions: [{ type: 'A', name: 'web.default.svc.cluster.local' }] });
    for (let i = 0; i < 2000; i++) {
      const bytes = Buffer.from(valid);
      for (let j = 0; j < 3; j++) bytes[Math.floor(random.fraction() * bytes.length)] = Math.floor(random.fraction() * 256);
      const cut = bytes.subarray(0, Math.ceil(random.fraction() * bytes.length));
      expect(await responder.respond(cut, 'udp')).not.toBeNull();
    }
  });
  test('an answer is not answered', async () => {
    const { responder } = setup();
    expect(await responder.respond(encode({ type: 'response', id: 1, questions: [] }), 'udp')).toBeUndefined();
  });
  test('an unknown operation is not implemented', async () => {
    const { responder } = setup();
    const reply = await responder.respond(encode({ type: 'query', id: 5, flags: 0x2800, questions: [{ type: 'A', name: 'x' }] }), 'udp');
    expect(reply?.readUInt16BE(2)).toBe(0x8084);
  });
});
