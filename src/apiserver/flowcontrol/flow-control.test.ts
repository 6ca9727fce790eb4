import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { flowSchemas as flowSchemaRef } from '#kube/refs.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { builtinKinds } from '#resources/index.ts';
import { createMemoryStore } from '#store/drivers/memory/memory-store.ts';
import { createWatchCache } from '#store/watch-cache.ts';
import { flowSchemas, priorityLevels } from '../bootstrap/flow-control.ts';
import type { ApiRequest, ApiResponse } from '../contract.ts';
import { parseRequestInfo } from '../request-info.ts';
import { testObjects } from '../test-objects.ts';
import { allocate } from './borrowing.ts';
import { schemaMatches, sortSchemas } from './classify.ts';
import { writeDangling } from './dangling.ts';
import { type Demand, DemandMeter } from './demand.ts';
import { createFlowControl, settingsOf } from './flow-control.ts';
import { dealHand, oneSeat, PriorityLevel, type Seated, type Ticket, type Work } from './level.ts';
import { workOf } from './work.ts';

const signal = new AbortController().signal;
const authenticated = 'system:authenticated';

describe("upstream's schemas", () => {
  const sorted = sortSchemas(flowSchemas);
  test.each([
    ['GET', '/livez', 'system:anonymous', ['system:unauthenticated'], 'probes'],
    ['GET', '/api/v1/pods', 'admin', ['system:masters', authenticated], 'exempt'],
    [
      'PUT',
      '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1',
      'system:node:n1',
      ['system:nodes', authenticated],
      'system-node-high',
    ],
    ['GET', '/api/v1/secrets', 'system:node:n1', ['system:nodes', authenticated], 'system-nodes'],
    ['POST', '/api/v1/namespaces/a/pods', 'system:kube-controller-manager', [authenticated], 'kube-controller-manager'],
    ['GET', '/api/v1/namespaces/a/pods', 'system:serviceaccount:a:b', ['system:serviceaccounts', authenticated], 'service-accounts'],
    ['GET', '/api/v1/pods', 'alice', [authenticated], 'global-default'],
  ])('%s %s by %s is %s', (method, path, name, groups, expected) => {
    const info = parseRequestInfo(method, path, new URLSearchParams());
    expect(sorted.find((s) => schemaMatches(s, { name, groups: [...groups] }, info, path))?.metadata.name).toBe(expected);
  });
  test('levels share the seats', () => {
    const settings = settingsOf(new Map(priorityLevels.map((l) => [l.metadata.name ?? '', l])), 600);
    expect(settings.get('exempt')?.seats).toBe(Number.POSITIVE_INFINITY);
    expect(settings.get('workload-low')?.seats).toBe(Math.ceil((600 * 100) / 245));
    expect(settings.get('catch-all')?.queuing).toBeUndefined();
  });
});

const ticket = (distinguisher: string, work: Partial<Work> = {}): Ticket => ({
  schema: 's',
  distinguisher,
  work: { ...oneSeat, ...work },
  arrived: 0,
  details: [],
});
const seats = (n: number) => ({ seats: n, lower: n, upper: n });

describe('a level', () => {
  const queuing = { queues: 8, handSize: 2, queueLengthLimit: 2 };
  const taken = (level: PriorityLevel, t: Ticket): Seated => {
    const seated = level.enter(t, 1e6, signal);
    if (typeof seated === 'string' || seated instanceof Promise) throw new Error('no seat');
    return seated;
  };
  /** The order in which waiting requests get their seats, each leaving at once. */
  const ordered = (level: PriorityLevel) => {
    const order: string[] = [];
    const enter = async (flow: string, work: Partial<Work> = {}): Promise<void> => {
      const seated = await level.enter(ticket(flow, work), 1e6, signal);
      order.push(flow);
      if (typeof seated !== 'string') level.leave(seated);
    };
    return { order, enter };
  };

  test('serves so many at once and the others in turn, whoever sends most', async () => {
    const level = new PriorityLevel({ ...seats(1), queuing: { ...queuing, queueLengthLimit: 100 } }, fakeClock());
    const { order, enter } = ordered(level);
    const first = taken(level, ticket('first'));
    const all = [...Array.from({ length: 20 }, () => enter('greedy')), enter('modest')];
    level.leave(first);
    await Promise.all(all);
    expect(order.indexOf('modest')).toBeLessThan(5);
    expect(level.figures()).toMatchObject({ executing: 0, waiting: 0, executingSeats: 0, waitingSeats: 0, dispatched: 22 });
  });
  test('counts wide requests for what they are: one flow with wide ones gets fewer of them through', async () => {
    const clock = fakeClock();
    const level = new PriorityLevel({ ...seats(10), queuing: { queues: 64, handSize: 1, queueLengthLimit: 100 } }, clock);
    const order: string[] = [];
    const running: Seated[] = [taken(level, ticket('first', { seats: 10 }))];
    const enter = async (flow: string, width: number): Promise<void> => {
      const seated = await level.enter(ticket(flow, { seats: width }), 1e6, signal);
      order.push(flow);
      if (typeof seated !== 'string') running.push(seated);
    };
    const all = Array.from({ length: 20 }, () => [enter('wide', 10), enter('narrow', 1)]).flat();
    for (let seated = running.shift(); seated !== undefined; seated = running.shift()) {
      await clock.advance(10);
      level.leave(seated);
      await clock.advance(0);
    }
    await Promise.all(all);
    expect(order.slice(0, 14).filter((f) => f === 'narrow').length).toBeGreaterThan(9);
  });
  test('lets a request that is wider than itself run alone', async () => {
    const level = new PriorityLevel({ ...seats(4), queuing }, fakeClock());
    const { order, enter } = ordered(level);
    const small = taken(level, ticket('small'));
    const wide = enter('wide', { seats: 10 });
    expect(order).toEqual([]);
    level.leave(small);
    await wide;
    expect(order).toEqual(['wide']);
  });
  test('keeps seats for a while after an answer that many watchers hear of', async () => {
    const clock = fakeClock();
    const level = new PriorityLevel({ ...seats(5), queuing }, clock);
    level.leave(taken(level, ticket('writer', { finalSeats: 5, finalMs: 50 })));
    expect(level.figures()).toMatchObject({ executing: 0, executingSeats: 5 });
    const next = level.enter(ticket('next'), 1e6, signal);
    expect(next).toBeInstanceOf(Promise);
    await clock.advance(51);
    expect(await next).toMatchObject({ ticket: { distinguisher: 'next' } });
  });
  test('refuses when queues are full, when the wait is too long, and without queues at once', async () => {
    const clock = fakeClock();
    const level = new PriorityLevel({ ...seats(1), queuing: { queues: 1, handSize: 1, queueLengthLimit: 1 } }, clock);
    taken(level, ticket('a'));
    const waiting = level.enter(ticket('a'), 1000, signal);
    expect(level.enter(ticket('a'), 1000, signal)).toBe('queue-full');
    await clock.advance(1001);
    expect(await waiting).toBe('time-out');
    expect(level.figures().refused).toMatchObject({ 'queue-full': 1, 'time-out': 1 });
    expect(new PriorityLevel(seats(0), clock).enter(ticket('a'), 1000, signal)).toBe('concurrency-limit');
  });
  test('a client that leaves gives its place up', async () => {
    const level = new PriorityLevel({ ...seats(1), queuing }, fakeClock());
    taken(level, ticket('a'));
    const gone = new AbortController();
    const waiting = level.enter(ticket('a'), 1e6, gone.signal);
    gone.abort();
    expect(await waiting).toBe('cancelled');
    expect(level.figures().waiting).toBe(0);
  });
  test('a flow always gets the same hand, of different queues', () => {
    expect(dealHand('x', 64, 6)).toEqual(dealHand('x', 64, 6));
    expect(new Set(dealHand('x', 64, 6)).size).toBe(6);
    expect(dealHand('x', 2, 6)).toHaveLength(2);
  });
});

describe('borrowing', () => {
  const demand = (high: number, smoothed = high): Demand => ({ high, average: high, deviation: 0, smoothed });
  const level = (own: number, lend: number, borrow: number, d: Demand) => ({
    settings: { seats: own, lower: own - lend, upper: own + borrow },
    demand: d,
  });
  test('a busy level gets what idle ones may lend, and no more than it may borrow', () => {
    expect(allocate([level(100, 90, 900, demand(0)), level(20, 10, 900, demand(500))]).seats).toEqual([10, 110]);
    expect(allocate([level(100, 90, 900, demand(0)), level(20, 10, 30, demand(500))]).seats[1]).toBe(50);
    expect(allocate([level(100, 0, 900, demand(0)), level(20, 10, 900, demand(500))]).seats).toEqual([100, 20]);
  });
  test('nobody lends what it needs itself', () => {
    expect(allocate([level(100, 90, 900, demand(100)), level(20, 10, 900, demand(500))]).seats).toEqual([100, 20]);
    expect(allocate([level(100, 90, 900, demand(40)), level(20, 10, 900, demand(500))]).seats).toEqual([40, 80]);
  });
  test('demand rises at once and is forgotten slowly', async () => {
    const clock = fakeClock();
    const meter = new DemandMeter(clock);
    meter.set(10);
    await clock.advance(10_000);
    expect(meter.settle()).toMatchObject({ high: 10, average: 10, deviation: 0, smoothed: 10 });
    meter.set(0);
    await clock.advance(10_000);
    expect(meter.settle()).toMatchObject({ high: 10, average: 0 });
    expect(meter.last().smoothed).toBeCloseTo(9.77);
  });
});

describe('the work of a request', () => {
  const deps = {
    count: (prefix: string) => (prefix === '/registry/core/pods/' ? 730 : 3),
    watches: (_: string, r: string) => (r === 'pods' ? 120 : 3),
  };
  test.each([
    ['GET', '/api/v1/pods', '', { seats: 8 }],
    ['GET', '/api/v1/pods', 'limit=500', { seats: 5 }],
    ['GET', '/api/v1/pods', 'limit=500&labelSelector=a', { seats: 8 }],
    ['GET', '/api/v1/pods', 'fieldSelector=metadata.name%3Dx', { seats: 1 }],
    ['GET', '/api/v1/namespaces/ns/pods', '', { seats: 1 }],
    ['GET', '/api/v1/pods', 'watch=1', { seats: 1 }],
    ['GET', '/api/v1/pods', 'watch=1&sendInitialEvents=true', { seats: 8 }],
    ['GET', '/api/v1/namespaces/ns/pods/p', '', { seats: 1 }],
    ['GET', '/livez', '', { seats: 1 }],
    ['POST', '/api/v1/namespaces/ns/pods', '', { seats: 1, finalSeats: 10, finalMs: 6 }],
    ['POST', '/api/v1/namespaces/ns/secrets', '', { seats: 1, finalSeats: 0 }],
  ])('%s %s?%s takes %o', (method, path, text, expected) => {
    const query = new URLSearchParams(text);
    expect(workOf({ method, path, query } as ApiRequest, parseRequestInfo(method, path, query), deps)).toMatchObject(expected);
  });
});

test('flow schemas say whether their level exists', async () => {
  const store = await testObjects(builtinKinds);
  const schema = (name: string, level: string) =>
    store.put({
      apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
      kind: 'FlowSchema',
      metadata: { name },
      spec: { priorityLevelConfiguration: { name: level } },
    });
  await schema('good', 'a');
  await schema('bad', 'b');
  const clock = fakeClock();
  const write = () => writeDangling(store, clock, store.list(flowSchemaRef, ''), (level) => level === 'a');
  await write();
  const { resourceVersion } = store.get(flowSchemaRef, '', 'good')?.metadata ?? {};
  await write();
  const condition = (name: string) => store.get(flowSchemaRef, '', name)?.status?.conditions;
  expect(condition('good')).toMatchObject([{ type: 'Dangling', status: 'False', reason: 'Found' }]);
  expect(condition('bad')).toMatchObject([{ type: 'Dangling', status: 'True', reason: 'NotFound' }]);
  expect(store.get(flowSchemaRef, '', 'good')?.metadata.resourceVersion).toBe(resourceVersion);
});

describe('around the handler', () => {
  const encode = (object: object): Uint8Array => new TextEncoder().encode(JSON.stringify(object));
  async function setUp(totalSeats: number) {
    const clock = fakeClock();
    const cache = await createWatchCache(createMemoryStore(), {}, { clock, log: memoryLogger() });
    for (const o of priorityLevels)
      await cache.create(
        `/registry/flowcontrol.apiserver.k8s.io/prioritylevelconfigurations/${o.metadata.name}`,
        encode({ ...o, metadata: { ...o.metadata, uid: `pl-${o.metadata.name}` } }),
      );
    for (const o of flowSchemas)
      await cache.create(
        `/registry/flowcontrol.apiserver.k8s.io/flowschemas/${o.metadata.name}`,
        encode({ ...o, metadata: { ...o.metadata, uid: `fs-${o.metadata.name}` } }),
      );
    const held: (() => void)[] = [];
    const answer: ApiResponse = { type: 'object', status: 200, object: {} };
    const control = createFlowControl(
      { totalSeats, waitMs: 1000 },
      { cache, store: await testObjects(builtinKinds), clock, log: memoryLogger() },
    );
    const handle = control.handle(
      () =>
        new Promise((resolve) => {
          held.push(() => resolve(answer));
        }),
    );
    const ask = (name: string, groups: string[], path = '/api/v1/pods', query = ''): Promise<ApiResponse> =>
      handle({
        method: 'GET',
        path,
        query: new URLSearchParams(query),
        headers: {},
        body: undefined,
        user: { name, groups },
        signal,
      } as ApiRequest);
    return { clock, held, ask, control };
  }

  test('names schema and level in the answer', async () => {
    const { held, ask } = await setUp(600);
    const response = ask('alice', [authenticated]);
    held[0]?.();
    expect(await response).toMatchObject({
      headers: { 'x-kubernetes-pf-flowschema-uid': 'fs-global-default', 'x-kubernetes-pf-prioritylevel-uid': 'pl-global-default' },
    });
  });
  test('a watch takes a seat while it is set up, and none afterwards', async () => {
    const { held, ask } = await setUp(1);
    const watch = ask('alice', [authenticated], '/api/v1/pods', 'watch=1');
    const list = ask('alice', [authenticated]);
    expect(held).toHaveLength(1);
    held[0]?.();
    await watch;
    await expect.poll(() => held.length).toBe(2);
    held[1]?.();
    await list;
  });
  test('under overload users wait and get 429, while administrators, health checks and streams pass', async () => {
    const { clock, held, ask } = await setUp(1);
    const first = ask('alice', [authenticated]);
    const second = ask('alice', [authenticated]);
    expect(held).toHaveLength(1);
    const others = [
      ask('admin', ['system:masters', authenticated]),
      ask('system:anonymous', ['system:unauthenticated'], '/livez'),
      ask('alice', [authenticated], '/api/v1/namespaces/ns/pods/p/log', 'follow=1'),
    ];
    expect(held).toHaveLength(4);
    await clock.advance(1001);
    expect(await second).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    for (const finish of held) finish();
    expect((await Promise.all([first, ...others])).map((r) => ('status' in r ? r.status : 0))).toEqual([200, 200, 200, 200]);
  });
  test("administrators see what waits, and the figures bear upstream's names", async () => {
    const { clock, held, ask, control } = await setUp(1);
    const registry = new Registry();
    control.addMetrics(registry);
    const first = ask('alice', [authenticated]);
    const second = ask('alice', [authenticated]);
    const dump = async (name: string, query = ''): Promise<string> => {
      const route = control.routes.find((r) => r.path.endsWith(name));
      const response = await route?.handle({ query: new URLSearchParams(query) } as ApiRequest);
      return response?.type === 'bytes' ? String(response.body) : '';
    };
    expect(await dump('dump_priority_levels')).toMatch(/^PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, WaitingRequests, .*\n/);
    expect(await dump('dump_priority_levels')).toMatch(/^global-default, +\d, +false, +false, +1, +1, +1, +0, +0, +0$/m);
    expect(await dump('dump_queues')).toMatch(/^global-default, +\d+, +1, +\d, +\d, /m);
    expect(await dump('dump_requests', 'includeRequestDetails=1')).toMatch(
      /^global-default, +global-default, +\d+, +0, +alice, .* alice, +list, +\/api\/v1\/pods, /m,
    );
    const text = await registry.metrics();
    expect(text).toContain('apiserver_flowcontrol_current_inqueue_requests{priority_level="global-default"} 1');
    for (const name of [
      'current_limit_seats',
      'nominal_limit_seats',
      'demand_seats_smoothed',
      'request_wait_duration_seconds',
      'work_estimated_seats',
    ])
      expect(text).toContain(`# TYPE apiserver_flowcontrol_${name} `);
    held[0]?.();
    await first;
    held[1]?.();
    await second;
    await clock.advance(1);
  });
});
