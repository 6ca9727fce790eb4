import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { HttpsFetch } from '../authn/https-json.ts';
import { type BatchOptions, type Delivery, deliver } from './delivery.ts';
import { type AuditBackend, createAuditFigures } from './sink.ts';
import { auditWebhook } from './webhook.ts';

const usual: BatchOptions = { bufferSize: 10_000, maxBatch: 3, maxWaitMs: 1000 };

function setUp(backendOf: (deps: ReturnType<typeof makeDeps>) => AuditBackend, delivery: Partial<Delivery>) {
  const deps = makeDeps();
  const sink = deliver(backendOf(deps), { mode: 'batch', batch: usual, ...delivery }, deps);
  const failed = async (plugin: string): Promise<number> =>
    (await deps.registry.getSingleMetric('apiserver_audit_error_total')?.get())?.values.find((v) => v.labels['plugin'] === plugin)?.value ??
    0;
  return { ...deps, sink, failed };
}

function makeDeps() {
  const figures = createAuditFigures();
  const registry = new Registry();
  figures.register(registry);
  return { clock: fakeClock(), log: memoryLogger(), figures, registry };
}

function webhookSetUp(answer: () => Response, batch: Partial<BatchOptions> = {}, initialBackoffMs = 10_000) {
  const sent: { readonly kind: string; readonly items: readonly object[] }[] = [];
  const fetch: HttpsFetch = async (r) => {
    sent.push(JSON.parse(r.body ?? '') as (typeof sent)[number]);
    return await Promise.resolve(answer());
  };
  const made = setUp((deps) => auditWebhook({ server: { url: 'https://audit' }, initialBackoffMs }, { ...deps, fetch }), {
    batch: { ...usual, ...batch },
  });
  return { ...made, sent };
}
const ok = (): Response => new Response('');

describe('the webhook', () => {
  test('gets events in batches: full ones at once, others when their time has come, the rest at the end', async () => {
    const { sent, clock, sink } = webhookSetUp(ok);
    for (let i = 0; i < 4; i++) expect(sink.write({ i })).toBeUndefined();
    await clock.advance(1);
    expect(sent.map((s) => [s.kind, s.items.length])).toEqual([['EventList', 3]]);
    await clock.advance(1001);
    expect(sent.map((s) => s.items.length)).toEqual([3, 1]);
    void sink.write({ i: 5 });
    await sink.close();
    expect(sent.map((s) => s.items.length)).toEqual([3, 1, 1]);
  });
  test('gets a batch again after a failure; what fails for good is counted', async () => {
    let failures = 0;
    const { sent, clock, sink, failed } = webhookSetUp(() => new Response('', { status: failures++ < 1 ? 500 : 200 }), {}, 100);
    for (let i = 0; i < 3; i++) void sink.write({ i });
    await clock.advance(200);
    expect(sent).toHaveLength(2);
    expect(await failed('webhook')).toBe(0);
    failures = -100;
    for (let i = 0; i < 3; i++) void sink.write({ i });
    for (let i = 0; i < 10; i++) await clock.advance(1000);
    expect(await failed('webhook')).toBe(3);
  });
  test('that does not answer holds up nobody: what the buffer cannot hold is dropped and counted', async () => {
    const { clock, sink, failed } = webhookSetUp(() => new Response('', { status: 500 }), { bufferSize: 5 }, 1e9);
    for (let i = 0; i < 3; i++) void sink.write({ i });
    await clock.advance(1);
    for (let i = 0; i < 7; i++) void sink.write({ i });
    expect(await failed('buffered')).toBe(2);
  });
  test('gets no more batches a second than it is to get', async () => {
    const { sent, clock, sink } = webhookSetUp(ok, { maxBatch: 1, maxWaitMs: 0, throttle: { qps: 2, burst: 3 } });
    for (let i = 0; i < 6; i++) void sink.write({ i });
    await clock.advance(1);
    expect(sent).toHaveLength(3);
    await clock.advance(1000);
    expect(sent).toHaveLength(5);
    await clock.advance(500);
    expect(sent).toHaveLength(6);
  });
});

/** A backend that keeps what it gets, and says of it what it is told. */
function keeping(delivery: Partial<Delivery>, stored = true) {
  const batches: (readonly object[])[] = [];
  const backend: AuditBackend = {
    process: async (events) => {
      batches.push(events);
      return await Promise.resolve(stored);
    },
    close: async () => await Promise.resolve(),
  };
  return { ...setUp(() => backend, delivery), batches };
}

describe('a request', () => {
  test.each([
    ['blocking', true, true],
    ['blocking', false, true],
    ['blocking-strict', true, true],
    ['blocking-strict', false, false],
  ] as const)('in the mode %s, with its event stored: %s, goes on: %s', async (mode, stored, goesOn) => {
    const { batches, sink } = keeping({ mode }, stored);
    expect(await sink.write({ a: 1 })).toBe(goesOn);
    expect(batches).toEqual([[{ a: 1 }]]);
  });
});

describe('events that are too large', () => {
  const truncate = { maxEvent: 300, maxBatch: 700 };
  const event = (size: number, bodies = true): object => ({
    level: 'Request',
    ...(bodies ? { requestObject: 'x'.repeat(size) } : { requestURI: 'x'.repeat(size) }),
    annotations: { a: 'b' },
  });
  test('lose their bodies, and say so', async () => {
    const { batches, sink } = keeping({ mode: 'blocking', truncate });
    await sink.write(event(100));
    await sink.write(event(1000));
    expect(batches).toEqual([[event(100)], [{ level: 'Request', annotations: { a: 'b', 'audit.k8s.io/truncated': 'true' } }]]);
  });
  test('are dropped and counted where that is not enough', async () => {
    const { batches, sink, failed } = keeping({ mode: 'blocking', truncate });
    await sink.write(event(1000, false));
    expect(batches).toEqual([]);
    expect(await failed('truncate')).toBe(1);
  });
  test('come in batches that are small enough', async () => {
    const { batches, sink, clock } = keeping({ mode: 'batch', batch: { ...usual, maxBatch: 5 }, truncate });
    for (let i = 0; i < 5; i++) void sink.write(event(200));
    await clock.advance(1);
    expect(batches.map((b) => b.length)).toEqual([2, 2, 1]);
  });
});
