import { expect, test } from 'vitest';
import { StatusError } from '#kube/status-error.ts';
import { TaskGroup } from '#lib/task-group.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { TransportRequest } from './contract.ts';
import { createEventRecorder } from './events.ts';
import { createKubeClient } from './kube-client.ts';

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '7' },
};

function setUp() {
  const clock = fakeClock();
  const requests: TransportRequest[] = [];
  const failures: StatusError[] = [];
  const client = createKubeClient({
    call: async (request) => {
      requests.push(request);
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return request.body;
    },
    watch: async function* watch() {},
  });
  const recorder = createEventRecorder({ client, clock, log: memoryLogger(), component: 'kubelet', host: 'n1' });
  return { clock, requests, failures, recorder };
}

test('an event becomes a core/v1 Event in the namespace of its object', async () => {
  const { clock, requests, recorder } = setUp();
  await using tasks = new TaskGroup();
  tasks.spawn(recorder.run);
  recorder.event(pod, 'Normal', 'Started', 'Started container');
  await clock.advance(0);
  expect(requests[0]).toMatchObject({ method: 'POST', path: '/api/v1/namespaces/shop/events' });
  expect(requests[0]?.body).toMatchObject({
    kind: 'Event',
    metadata: { namespace: 'shop', name: expect.stringMatching(/^web\.[0-9a-f]+$/) },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '7' },
    source: { component: 'kubelet', host: 'n1' },
    reportingComponent: 'kubelet',
    reportingInstance: 'n1',
    firstTimestamp: '2026-01-01T00:00:00Z',
    count: 1,
    type: 'Normal',
  });
});

test('events about cluster-scoped objects go to the default namespace', async () => {
  const { clock, requests, recorder } = setUp();
  await using tasks = new TaskGroup();
  tasks.spawn(recorder.run);
  recorder.event({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } }, 'Normal', 'NodeReady', 'ready');
  await clock.advance(0);
  expect(requests[0]?.path).toBe('/api/v1/namespaces/default/events');
});

test('the same event again counts up the first one', async () => {
  const { clock, requests, recorder } = setUp();
  await using tasks = new TaskGroup();
  tasks.spawn(recorder.run);
  recorder.event(pod, 'Warning', 'BackOff', 'back-off');
  await clock.advance(5000);
  recorder.event(pod, 'Warning', 'BackOff', 'back-off');
  await clock.advance(0);
  expect(requests[1]).toMatchObject({ method: 'PATCH', body: { count: 2, lastTimestamp: '2026-01-01T00:00:05Z' } });
});

test('an event whose first occurrence has expired is written anew and keeps its count', async () => {
  const { clock, requests, failures, recorder } = setUp();
  await using tasks = new TaskGroup();
  tasks.spawn(recorder.run);
  recorder.event(pod, 'Warning', 'BackOff', 'back-off');
  await clock.advance(0);
  failures.push(new StatusError('NotFound', 'gone'));
  recorder.event(pod, 'Warning', 'BackOff', 'back-off');
  await clock.advance(0);
  expect(requests.map((r) => r.method)).toEqual(['POST', 'PATCH', 'POST']);
  expect(requests[2]?.body).toMatchObject({ count: 2 });
});

test('from the tenth different message on, events of one reason are combined', async () => {
  const { clock, requests, recorder } = setUp();
  await using tasks = new TaskGroup();
  tasks.spawn(recorder.run);
  for (let i = 1; i <= 12; i++) recorder.event(pod, 'Warning', 'Failed', `attempt ${i}`);
  await clock.advance(0);
  expect(requests.length).toBe(12);
  expect(requests[9]?.body).toMatchObject({ message: '(combined from similar events): attempt 10', count: 1 });
  expect(requests[11]).toMatchObject({ method: 'PATCH', body: { count: 3, message: '(combined from similar events): attempt 12' } });
});

test('an object with more than 25 events is silenced, then allowed one every five minutes', async () => {
  const { clock, requests, recorder } = setUp();
  await using tasks = new TaskGroup();
  tasks.spawn(recorder.run);
  for (let i = 0; i < 40; i++) recorder.event(pod, 'Warning', 'Failed', 'again');
  await clock.advance(0);
  expect(requests.length).toBe(25);
  await clock.advance(300_000);
  for (let i = 0; i < 5; i++) recorder.event(pod, 'Warning', 'Failed', 'again');
  await clock.advance(0);
  expect(requests.length).toBe(26);
});

test('an unreachable server is tried again; a refusal is final', async () => {
  const { clock, requests, failures, recorder } = setUp();
  await using tasks = new TaskGroup();
  tasks.spawn(recorder.run);
  failures.push(new StatusError('ServiceUnavailable', 'down'), new StatusError('Forbidden', 'namespace is being terminated'));
  recorder.event(pod, 'Normal', 'Started', 'x');
  await clock.advance(10_000);
  expect(requests.length).toBe(2);
});
