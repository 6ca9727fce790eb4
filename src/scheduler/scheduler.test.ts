import { expect, test } from 'vitest';
import type { KubeTransport } from '#client/contract.ts';
import { createInformerFactory } from '#client/informer-factory.ts';
import { createKubeClient } from '#client/kube-client.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { StatusError } from '#kube/status-error.ts';
import { Channel } from '#lib/channel.ts';
import { TaskGroup } from '#lib/task-group.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { seededRandom } from '#platform/random.ts';
import { testNode, testPod } from './fixtures.ts';
import { createScheduler } from './scheduler.ts';

type Frame = { readonly type: string; readonly object: unknown };
interface Written {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** An API server reduced to what the scheduler asks: lists, watches, bindings, and a record of other writes. */
function server(initial: Readonly<Record<string, readonly Stored[]>>) {
  const objects = new Map<string, Stored[]>(Object.entries(initial).map(([k, v]) => [k, [...v]]));
  const watches = new Map<string, Channel<Frame>[]>();
  const written: Written[] = [];
  const refuseBindings = { next: undefined as StatusError | undefined };
  let revision = 10;
  const resourceOf = (path: string): string => /^\/apis?\/[^?]*?([a-z]+)(?:\?|$)/.exec(path)?.[1] ?? '';
  const emit = (resource: string, type: string, object: Stored): void => {
    const list = (objects.get(resource) ?? []).filter((o) => o.metadata.uid !== object.metadata.uid);
    const next = { ...object, metadata: { ...object.metadata, resourceVersion: String(++revision) } };
    objects.set(resource, type === 'DELETED' ? list : [...list, next]);
    for (const w of watches.get(resource) ?? []) w.push({ type, object: next });
  };
  const bind = (path: string, body: unknown): void => {
    const refusal = refuseBindings.next;
    refuseBindings.next = undefined;
    if (refusal !== undefined) throw refusal;
    const name = path.split('/').at(-2);
    const pod = objects.get('pods')?.find((p) => p.metadata.name === name);
    const target = (body as { target: { name: string } }).target.name;
    if (pod !== undefined) emit('pods', 'MODIFIED', { ...pod, spec: { ...(pod as { spec?: object }).spec, nodeName: target } } as Stored);
  };
  const transport: KubeTransport = {
    call: async ({ method, path, body }) => {
      if (method === 'GET') {
        const items = objects.get(resourceOf(path)) ?? [];
        return { apiVersion: 'v1', kind: 'List', metadata: { resourceVersion: String(revision) }, items };
      }
      written.push({ method, path, body });
      if (path.includes('/binding')) bind(path, body);
      if (method === 'DELETE') {
        const pod = objects.get('pods')?.find((p) => p.metadata.name === path.split('?')[0]?.split('/').at(-1));
        if (pod !== undefined) emit('pods', 'DELETED', pod);
      }
      return body ?? {};
    },
    watch: (path, signal) => {
      const channel = new Channel<Frame>(1000);
      signal.addEventListener('abort', () => channel.close());
      const resource = resourceOf(path);
      watches.set(resource, [...(watches.get(resource) ?? []), channel]);
      return channel;
    },
  };
  return { transport, emit, written, refuseBindings };
}

const messagesOf = (written: readonly Written[]): string[] =>
  written.filter((w) => w.path.includes('/events')).map((w) => String((w.body as { message?: string }).message));
const bindingsOf = (written: readonly Written[]): string[] =>
  written
    .filter((w) => w.path.includes('/binding'))
    .map((w) => `${w.path.split('/').at(-2)} → ${(w.body as { target: KubeObject & { name: string } }).target.name}`);

async function running(initial: Parameters<typeof server>[0]) {
  const api = server(initial);
  const clock = fakeClock();
  const log = memoryLogger();
  const random = seededRandom(1);
  const client = createKubeClient(api.transport);
  const informers = createInformerFactory({ client, clock, random, log });
  const scheduler = createScheduler({ client, informers, clock, random, log });
  const tasks = new TaskGroup();
  informers.start(tasks);
  await scheduler.start();
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await clock.advance(0);
  };
  await settle();
  return {
    ...api,
    clock,
    log,
    scheduler,
    settle,
    stop: async () => {
      await scheduler.stop();
      await tasks.close();
    },
  };
}

test('a new pod is bound and the event says where to', async () => {
  const t = await running({ nodes: [testNode('a')] });
  expect(t.scheduler.notReady()).toBeUndefined();
  t.emit('pods', 'ADDED', testPod('p'));
  await t.settle();
  expect(bindingsOf(t.written)).toEqual(['p → a']);
  expect(messagesOf(t.written)).toEqual(['Successfully assigned default/p to a']);
  await t.stop();
});

test('what is assumed counts for the next pod before the binding is confirmed', async () => {
  const t = await running({ nodes: [testNode('a', { cpu: '1' })], pods: [testPod('p', { cpu: '1' }), testPod('q', { cpu: '1' })] });
  await t.settle();
  expect(bindingsOf(t.written)).toEqual(['p → a']);
  expect(messagesOf(t.written)).toContain(
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
  );
  const status = t.written.find((w) => w.path.includes('/q/status'));
  expect(status?.body).toMatchObject({ status: { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }] } });
  await t.stop();
});

test('a pod that does not fit is bound once a node with room comes', async () => {
  const t = await running({ pods: [testPod('p', { cpu: '2' })] });
  expect(messagesOf(t.written)).toEqual(['no nodes available to schedule pods']);
  t.emit('nodes', 'ADDED', testNode('a'));
  await t.settle();
  await t.clock.advance(1000);
  await t.settle();
  expect(bindingsOf(t.written)).toEqual(['p → a']);
  await t.stop();
});

test('a refused binding is tried again and its assumption taken back', async () => {
  const t = await running({ nodes: [testNode('a', { cpu: '1' })] });
  t.refuseBindings.next = new StatusError('ServiceUnavailable', 'later');
  t.emit('pods', 'ADDED', testPod('p', { cpu: '1' }));
  await t.settle();
  expect(bindingsOf(t.written)).toHaveLength(1);
  await t.clock.advance(1000);
  await t.settle();
  expect(bindingsOf(t.written)).toEqual(['p → a', 'p → a']);
  await t.stop();
});

test('an important pod has a lesser one removed and takes its place', async () => {
  const lesser = testPod('low', { cpu: '4', priority: 1, nodeName: 'a' });
  const t = await running({ nodes: [testNode('a')], pods: [lesser, testPod('p', { cpu: '4', priority: 100 })] });
  await t.settle();
  expect(messagesOf(t.written)).toContain('Preempted by pod uid-p on node a');
  const status = t.written.find((w) => w.path.includes('/p/status'));
  expect(status?.body).toMatchObject({ status: { nominatedNodeName: 'a' } });
  await t.clock.advance(1000);
  await t.settle();
  expect(bindingsOf(t.written)).toEqual(['p → a']);
  await t.stop();
});

test('pods of other schedulers are left alone', async () => {
  const t = await running({ nodes: [testNode('a')], pods: [testPod('p', { schedulerName: 'other' })] });
  await t.settle();
  expect(t.written).toEqual([]);
  await t.stop();
});
