import { expect, test } from 'vitest';
import type { ConfigMap } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { configMaps } from '#kube/refs.ts';
import { StatusError } from '#kube/status-error.ts';
import { Channel } from '#lib/channel.ts';
import { TaskGroup } from '#lib/task-group.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { seededRandom } from '#platform/random.ts';
import type { KubeTransport } from './contract.ts';
import { createInformerFactory } from './informer-factory.ts';
import { createKubeClient } from './kube-client.ts';

const configMap = (name: string, resourceVersion: number, uid = name, labels: Record<string, string> = {}): Stored<ConfigMap> => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name,
    namespace: 'default',
    uid,
    resourceVersion: String(resourceVersion),
    creationTimestamp: '2026-01-01T00:00:00Z',
    labels,
  },
});

type Frame = { readonly type: string; readonly object: unknown };

/** A server reduced to what an informer sees: the answer to the next list, and one channel for each watch. */
function scriptedServer() {
  const calls: string[] = [];
  const watches: Channel<Frame>[] = [];
  const list = { revision: 10, items: [] as readonly Stored<ConfigMap>[], failures: [] as StatusError[] };
  return {
    calls,
    watches,
    list,
    transport: {
      call: async ({ path }) => {
        calls.push(`list ${new URL(path, 'http://x').searchParams.get('continue') ?? ''}`.trim());
        const failure = list.failures.shift();
        if (failure !== undefined) throw failure;
        return {
          apiVersion: 'v1',
          kind: 'ConfigMapList',
          metadata: { resourceVersion: String(list.revision) },
          items: list.items,
        };
      },
      watch: (path, signal) => {
        calls.push(`watch ${new URL(path, 'http://x').searchParams.get('resourceVersion')}`);
        const channel = new Channel<Frame>(100);
        signal.addEventListener('abort', () => channel.close());
        watches.push(channel);
        return channel;
      },
    } satisfies KubeTransport as KubeTransport,
  };
}

function setUp() {
  const server = scriptedServer();
  const clock = fakeClock();
  const log = memoryLogger();
  const factory = createInformerFactory({ client: createKubeClient(server.transport), clock, random: seededRandom(1), log });
  const informer = factory.informer(configMaps);
  const seen: string[] = [];
  informer.addHandler({
    added: (o) => seen.push(`added ${o.metadata.name} ${o.metadata.resourceVersion}`),
    updated: (o, old) => seen.push(`updated ${o.metadata.name} ${old.metadata.resourceVersion}→${o.metadata.resourceVersion}`),
    deleted: (o) => seen.push(`deleted ${o.metadata.name} ${o.metadata.resourceVersion}`),
  });
  return { server, clock, log, factory, informer, seen };
}

test('lists, then watches from the revision of the list, and tells handlers what changes', async () => {
  const { server, clock, factory, informer, seen } = setUp();
  server.list.items = [configMap('a', 5)];
  await using tasks = new TaskGroup();
  expect(informer.hasSynced()).toBe(false);
  factory.start(tasks);
  await factory.synced(tasks.signal);
  await clock.advance(0);
  server.watches[0]?.push({ type: 'ADDED', object: configMap('b', 11) });
  server.watches[0]?.push({ type: 'MODIFIED', object: configMap('a', 12) });
  server.watches[0]?.push({ type: 'DELETED', object: configMap('b', 13) });
  await clock.advance(0);
  expect(server.calls).toEqual(['list', 'watch 10']);
  expect(seen).toEqual(['added a 5', 'added b 11', 'updated a 5→12', 'deleted b 13']);
  expect(informer.list('default').map((o) => o.metadata.name)).toEqual(['a']);
  expect(informer.list('other')).toEqual([]);
});

test('a watch that ends is resumed from the last event or bookmark, without a list', async () => {
  const { server, clock, factory, seen } = setUp();
  await using tasks = new TaskGroup();
  factory.start(tasks);
  await clock.advance(0);
  server.watches[0]?.push({ type: 'ADDED', object: configMap('a', 11) });
  server.watches[0]?.push({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '40' } } });
  server.watches[0]?.close();
  await clock.advance(2000);
  expect(server.calls).toEqual(['list', 'watch 10', 'watch 40']);
  expect(seen).toEqual(['added a 11']);
});

test('after 410 the informer lists again and delivers only the differences', async () => {
  const { server, clock, factory, seen } = setUp();
  server.list.items = [configMap('gone', 5), configMap('same', 6), configMap('changed', 7), configMap('remade', 8, 'uid-1')];
  await using tasks = new TaskGroup();
  factory.start(tasks);
  await clock.advance(0);
  seen.length = 0;
  server.list.items = [configMap('same', 6), configMap('changed', 20), configMap('remade', 21, 'uid-2'), configMap('new', 22)];
  server.list.revision = 30;
  server.watches[0]?.push({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' } });
  await clock.advance(0);
  expect(seen).toEqual(['updated changed 7→20', 'deleted remade 8', 'added remade 21', 'added new 22', 'deleted gone 5']);
  expect(server.calls).toEqual(['list', 'watch 10', 'list', 'watch 30']);
});

test('failures are retried with growing delays and warned about once', async () => {
  const { server, clock, log, factory, informer } = setUp();
  for (let i = 0; i < 3; i++) server.list.failures.push(new StatusError('ServiceUnavailable', 'no route'));
  await using tasks = new TaskGroup();
  factory.start(tasks);
  await clock.advance(0);
  expect(server.calls.length).toBe(1);
  await clock.advance(150);
  expect(server.calls.length).toBe(2);
  await clock.advance(2000);
  expect(informer.hasSynced()).toBe(true);
  expect(log.lines.filter((line) => line.startsWith('warn')).length).toBe(1);
});

test('after a long outage it follows again within eight seconds', async () => {
  const { server, clock, factory, informer } = setUp();
  for (let i = 0; i < 20; i++) server.list.failures.push(new StatusError('ServiceUnavailable', 'no route'));
  await using tasks = new TaskGroup();
  factory.start(tasks);
  for (let i = 0; i < 20; i++) await clock.advance(7500);
  expect(server.list.failures).toEqual([]);
  await clock.advance(7500);
  expect(informer.hasSynced()).toBe(true);
});

test('a watch that ends at once without events is not opened again in a busy loop', async () => {
  const { server, clock, factory } = setUp();
  await using tasks = new TaskGroup();
  factory.start(tasks);
  await clock.advance(0);
  server.watches[0]?.close();
  await clock.advance(900);
  expect(server.watches.length).toBe(1);
  await clock.advance(200);
  expect(server.watches.length).toBe(2);
});

test('a handler that throws is logged and disturbs nobody', async () => {
  const { server, clock, log, factory, informer, seen } = setUp();
  server.list.items = [configMap('a', 5)];
  informer.addHandler({
    added: () => {
      throw new Error('bug');
    },
  });
  const late: string[] = [];
  informer.addHandler({ added: (o) => late.push(o.metadata.name) });
  await using tasks = new TaskGroup();
  factory.start(tasks);
  await clock.advance(0);
  expect(seen).toEqual(['added a 5']);
  expect(late).toEqual(['a']);
  expect(log.lines.some((line) => line.startsWith('error informer handler failed'))).toBe(true);
});

test('a handler added late is told what is held; indexes added late cover it', async () => {
  const { server, clock, factory, informer } = setUp();
  server.list.items = [configMap('a', 5, 'a', { app: 'x' }), configMap('b', 6)];
  await using tasks = new TaskGroup();
  factory.start(tasks);
  await clock.advance(0);
  const late: string[] = [];
  informer.addHandler({ added: (o) => late.push(o.metadata.name) });
  expect(late).toEqual(['a', 'b']);
  informer.addIndex('app', (o) => [o.metadata.labels?.['app'] ?? '']);
  expect(informer.byIndex('app', 'x').map((o) => o.metadata.name)).toEqual(['a']);
  server.watches[0]?.push({ type: 'MODIFIED', object: configMap('a', 12) });
  await clock.advance(0);
  expect(informer.byIndex('app', 'x')).toEqual([]);
});

test('the factory shares one informer for a resource and scope', () => {
  const { factory, informer } = setUp();
  expect(factory.informer(configMaps)).toBe(informer);
  expect(factory.informer(configMaps, { namespace: 'kube-system' })).not.toBe(informer);
});
