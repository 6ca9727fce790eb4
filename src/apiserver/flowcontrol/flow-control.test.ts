import { describe, expect, test } from 'vitest';
import { flowSchemas as flowSchemaRef } from '#kube/refs.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { createMemoryStore } from '#store/drivers/memory/memory-store.ts';
import { createWatchCache } from '#store/watch-cache.ts';
import { flowSchemas, priorityLevels } from '../bootstrap/flow-control.ts';
import type { ApiRequest, ApiResponse } from '../contract.ts';
import { fakeObjects } from '../fake-objects.ts';
import { parseRequestInfo } from '../request-info.ts';
import { schemaMatches, sortSchemas } from './classify.ts';
import { writeDangling } from './dangling.ts';
import { createFlowControl, settingsOf } from './flow-control.ts';
import { dealHand, PriorityLevel } from './level.ts';

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

describe('a level', () => {
  const queuing = { queues: 8, handSize: 2, queueLengthLimit: 2 };

  test('serves so many at once and the others in turn, whoever sends most', async () => {
    const level = new PriorityLevel({ seats: 1, queuing: { ...queuing, queueLengthLimit: 100 } }, fakeClock());
    const order: string[] = [];
    expect(level.enter('first', 1e6, signal)).toBeUndefined();
    const enter = async (flow: string): Promise<void> => {
      await level.enter(flow, 1e6, signal);
      order.push(flow);
      level.leave();
    };
    const all = [...Array.from({ length: 20 }, () => enter('greedy')), enter('modest')];
    level.leave();
    await Promise.all(all);
    expect(order.indexOf('modest')).toBeLessThan(5);
    expect(level.figures()).toEqual({ executing: 0, waiting: 0 });
  });
  test('refuses when queues are full, when the wait is too long, and without queues at once', async () => {
    const clock = fakeClock();
    const level = new PriorityLevel({ seats: 1, queuing: { queues: 1, handSize: 1, queueLengthLimit: 1 } }, clock);
    expect(level.enter('a', 1000, signal)).toBeUndefined();
    const waiting = level.enter('a', 1000, signal);
    expect(level.enter('a', 1000, signal)).toBe('queue-full');
    await clock.advance(1001);
    expect(await waiting).toBe('time-out');
    expect(new PriorityLevel({ seats: 0 }, clock).enter('a', 1000, signal)).toBe('concurrency-limit');
  });
  test('a client that leaves gives its place up', async () => {
    const level = new PriorityLevel({ seats: 1, queuing }, fakeClock());
    expect(level.enter('a', 1e6, signal)).toBeUndefined();
    const gone = new AbortController();
    const waiting = level.enter('a', 1e6, gone.signal);
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

test('flow schemas say whether their level exists', async () => {
  const store = fakeObjects();
  const schema = (name: string, level: string) =>
    store.put({
      apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
      kind: 'FlowSchema',
      metadata: { name },
      spec: { priorityLevelConfiguration: { name: level } },
    });
  schema('good', 'a');
  schema('bad', 'b');
  const clock = fakeClock();
  for (let i = 0; i < 2; i++) await writeDangling(store, clock, store.list(flowSchemaRef, ''), (level) => level === 'a');
  const condition = (name: string) => store.get(flowSchemaRef, '', name)?.status?.conditions;
  expect(condition('good')).toMatchObject([{ type: 'Dangling', status: 'False', reason: 'Found' }]);
  expect(condition('bad')).toMatchObject([{ type: 'Dangling', status: 'True', reason: 'NotFound' }]);
  expect(store.get(flowSchemaRef, '', 'good')?.metadata.resourceVersion).toBe('3');
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
    const handle = createFlowControl({ totalSeats, waitMs: 1000 }, { cache, store: fakeObjects(), clock, log: memoryLogger() }).handle(
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
    return { clock, held, ask };
  }

  test('names schema and level in the answer', async () => {
    const { held, ask } = await setUp(600);
    const response = ask('alice', [authenticated]);
    held[0]?.();
    expect(await response).toMatchObject({
      headers: { 'x-kubernetes-pf-flowschema-uid': 'fs-global-default', 'x-kubernetes-pf-prioritylevel-uid': 'pl-global-default' },
    });
  });
  test('under overload users wait and get 429, while administrators, health checks and watches pass', async () => {
    const { clock, held, ask } = await setUp(1);
    const first = ask('alice', [authenticated]);
    const second = ask('alice', [authenticated]);
    expect(held).toHaveLength(1);
    const others = [
      ask('admin', ['system:masters', authenticated]),
      ask('system:anonymous', ['system:unauthenticated'], '/livez'),
      ask('alice', [authenticated], '/api/v1/pods', 'watch=1'),
    ];
    expect(held).toHaveLength(4);
    await clock.advance(1001);
    expect(await second).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    for (const finish of held) finish();
    expect((await Promise.all([first, ...others])).map((r) => ('status' in r ? r.status : 0))).toEqual([200, 200, 200, 200]);
  });
});
