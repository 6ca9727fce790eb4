import { expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { seededRandom } from '#platform/random.ts';
import { container, testPod, testRecord, testRuntime } from '../pods/fixtures.ts';
import { createProber } from './prober.ts';

function setUp(fields: Parameters<typeof container>[1]) {
  const clock = fakeClock(3000);
  const answers: Record<string, boolean> = {};
  const events: string[] = [];
  let changes = 0;
  let probes = 0;
  const prober = createProber({
    clock,
    random: seededRandom(1),
    event: (_pod, _container, _type, _reason, message) => events.push(message),
    run: (probe) => {
      probes++;
      const key = probe.exec?.command?.[0] ?? '';
      return Promise.resolve({ ok: answers[key] ?? true, output: `${key} said no` });
    },
  });
  const c = container('c', fields);
  const pod = testPod({ containers: [c] });
  const record = testRecord('c', { startedMs: 3000 });
  const sync = (runtime = testRuntime([record])): void => prober.sync(pod, runtime, '10.42.0.5', () => changes++);
  return { clock, answers, events, prober, c, record, sync, changes: () => changes, probes: () => probes };
}

const probe = (name: string, more: object = {}) => ({ exec: { command: [name] }, periodSeconds: 10, ...more });

test('a container without probes is started and ready while it runs', () => {
  const t = setUp({});
  t.sync();
  expect([t.prober.started(t.c, t.record), t.prober.ready(t.c, t.record), t.prober.failed(t.record.id)]).toEqual([true, true, undefined]);
});

test('a container becomes ready with its first success and unready after so many failures', async () => {
  const t = setUp({ readinessProbe: probe('r', { failureThreshold: 2 }) });
  t.sync();
  expect(t.prober.ready(t.c, t.record)).toBe(false);
  await t.clock.advance(1);
  expect(t.prober.ready(t.c, t.record)).toBe(true);
  t.answers['r'] = false;
  await t.clock.advance(10_000);
  expect(t.prober.ready(t.c, t.record)).toBe(true);
  await t.clock.advance(10_000);
  expect(t.prober.ready(t.c, t.record)).toBe(false);
  expect(t.events).toEqual(['Readiness probe failed: r said no', 'Readiness probe failed: r said no']);
  expect(t.changes()).toBe(2);
});

test('liveness waits for its initial delay and for the startup probe, and fails once', async () => {
  const t = setUp({
    startupProbe: probe('s', { periodSeconds: 1, failureThreshold: 30 }),
    livenessProbe: probe('l', { failureThreshold: 1 }),
  });
  t.answers['s'] = false;
  t.answers['l'] = false;
  t.sync();
  await t.clock.advance(5000);
  expect([t.prober.started(t.c, t.record), t.prober.failed(t.record.id)]).toEqual([false, undefined]);
  t.answers['s'] = true;
  await t.clock.advance(1000);
  expect(t.prober.started(t.c, t.record)).toBe(true);
  expect(t.prober.failed(t.record.id)).toBe('liveness');
  const before = t.probes();
  await t.clock.advance(60_000);
  expect(t.probes()).toBe(before);
});

test('a startup probe that never succeeds fails the container', async () => {
  const t = setUp({ startupProbe: probe('s', { periodSeconds: 1, failureThreshold: 3 }) });
  t.answers['s'] = false;
  t.sync();
  await t.clock.advance(3000);
  expect(t.prober.failed(t.record.id)).toBe('startup');
});

test('the initial delay counts from the start of the container', async () => {
  const t = setUp({ readinessProbe: probe('r', { initialDelaySeconds: 5 }) });
  t.sync();
  await t.clock.advance(4999);
  expect(t.probes()).toBe(0);
  await t.clock.advance(1);
  expect(t.probes()).toBe(1);
});

test('probing ends with the container', async () => {
  const t = setUp({ readinessProbe: probe('r') });
  t.sync();
  await t.clock.advance(1);
  t.sync(testRuntime([]));
  const before = t.probes();
  await t.clock.advance(60_000);
  expect(t.probes()).toBe(before);
});

test('a container that was ready before a restart of the kubelet is ready until its probe says otherwise', async () => {
  const t = setUp({ readinessProbe: probe('r', { failureThreshold: 1 }) });
  t.prober.seed(t.record.id, true, true);
  t.answers['r'] = false;
  t.sync();
  expect(t.prober.ready(t.c, t.record)).toBe(true);
  await t.clock.advance(1);
  expect(t.prober.ready(t.c, t.record)).toBe(false);
});
