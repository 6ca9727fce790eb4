/**
 * How events get to a backend: whether requests wait for it, in batches or one by one, and how large they may be.
 * k8s.io/apiserver plugin/pkg/audit/{buffered,truncate} and pkg/server/options/audit.go.
 */
import { TaskGroup } from '#lib/task-group.ts';
import { createTokenBucket } from '#lib/token-bucket.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { AuditBackend, AuditFigures, AuditSink } from './sink.ts';

/** `blocking`: requests wait; `blocking-strict`: and are refused when their first event cannot be stored. */
export const auditModes = ['batch', 'blocking', 'blocking-strict'] as const;
export type AuditMode = (typeof auditModes)[number];

/** --audit-*-batch-*. */
export interface BatchOptions {
  /** Events that wait; beyond, new ones are dropped and counted. */
  readonly bufferSize: number;
  readonly maxBatch: number;
  /** How long the first event of a batch waits for others; 0: not at all. */
  readonly maxWaitMs: number;
  /** Batches a second, and how many at once when there were none for a while. Absent: no limit. */
  readonly throttle?: { readonly qps: number; readonly burst: number };
}

/** --audit-*-truncate-*, in bytes. */
export interface TruncateOptions {
  readonly maxEvent: number;
  readonly maxBatch: number;
}

export interface Delivery {
  readonly mode: AuditMode;
  readonly batch: BatchOptions;
  readonly truncate?: TruncateOptions;
}

export interface DeliveryDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly figures: Pick<AuditFigures, 'failed'>;
}

/** What is pending when the server stops is sent within this time or lost. */
const closeWithinMs = 3000;

const bytesOf = (event: object): number => Buffer.byteLength(JSON.stringify(event)) + 1;

/** An event without its bodies, which says so. */
function withoutBodies(event: object): object {
  const { requestObject: _request, responseObject: _response, ...rest } = event as Readonly<Record<string, unknown>>;
  const annotations = typeof rest['annotations'] === 'object' ? rest['annotations'] : {};
  return { ...rest, annotations: { ...annotations, 'audit.k8s.io/truncated': 'true' } };
}

const hasBodies = (event: object): boolean => 'requestObject' in event || 'responseObject' in event;

/** Takes the bodies from events that are too large, drops what is too large all the same, and keeps batches small. */
export function truncating(inner: AuditBackend, { maxEvent, maxBatch }: TruncateOptions, { log, figures }: DeliveryDeps): AuditBackend {
  return {
    process: async (events, signal) => {
      const batches: object[][] = [];
      let size = Number.POSITIVE_INFINITY;
      let dropped = 0;
      for (const given of events) {
        const whole = bytesOf(given);
        const event = whole > maxEvent && hasBodies(given) ? withoutBodies(given) : given;
        const bytes = event === given ? whole : bytesOf(event);
        if (bytes > maxEvent) {
          dropped++;
          continue;
        }
        if (size + bytes > maxBatch) {
          batches.push([]);
          size = 0;
        }
        size += bytes;
        batches.at(-1)?.push(event);
      }
      if (dropped > 0) {
        figures.failed('truncate', dropped);
        log.error('audit events are too large even after truncating', { events: dropped });
      }
      let stored = true;
      for (const batch of batches) stored = (await inner.process(batch, signal)) && stored;
      return stored;
    },
    close: inner.close,
  };
}

function blocking(backend: AuditBackend, strict: boolean): AuditSink {
  const stop = new AbortController();
  return {
    write: (event) => {
      const stored = backend.process([event], stop.signal);
      return strict ? stored : stored.then(() => true);
    },
    close: async () => {
      stop.abort();
      await backend.close();
    },
  };
}

function batching(backend: AuditBackend, { bufferSize, maxBatch, maxWaitMs, throttle }: BatchOptions, deps: DeliveryDeps): AuditSink {
  const { clock, log, figures } = deps;
  const bucket = throttle === undefined ? undefined : createTokenBucket(throttle.qps, throttle.burst);
  const buffer: object[] = [];
  let wake: () => void = () => undefined;
  let closing = false;
  let dropping = false;
  const tasks = new TaskGroup();
  /** Resolves when there is a batch to send: a full one, or one whose first event has waited long enough. */
  const batchReady = async (): Promise<void> => {
    const woken = (): Promise<void> =>
      new Promise((resolve) => {
        wake = resolve;
      });
    while (buffer.length === 0 && !closing) await woken();
    if (maxWaitMs === 0) return;
    let late = false;
    const timer = clock.after(maxWaitMs, () => {
      late = true;
      wake();
    });
    while (buffer.length < maxBatch && !late && !closing) await woken();
    timer.cancel();
  };
  const turn = async (signal: AbortSignal): Promise<void> => {
    if (throttle === undefined || bucket === undefined) return;
    while (!closing && !bucket.take(clock.monotonic())) await clock.sleep(1000 / throttle.qps, signal);
  };
  tasks.spawn(async (signal) => {
    while (!closing || buffer.length > 0) {
      await batchReady();
      await turn(signal);
      const batch = buffer.splice(0, maxBatch);
      if (batch.length > 0) await backend.process(batch, signal);
      if (signal.aborted) return;
      dropping = false;
    }
  });
  return {
    write: (event) => {
      if (closing || buffer.length >= bufferSize) {
        figures.failed('buffered', 1);
        if (!dropping) log.error('audit events come in faster than they can be stored, and are dropped', { waiting: buffer.length });
        dropping = true;
      } else {
        buffer.push(event);
        wake();
      }
      return undefined;
    },
    close: async () => {
      closing = true;
      wake();
      await Promise.race([tasks.join(), clock.sleep(closeWithinMs)]);
      await tasks.close();
      await backend.close();
    },
  };
}

/** A sink over a backend. */
export function deliver(backend: AuditBackend, { mode, batch, truncate }: Delivery, deps: DeliveryDeps): AuditSink {
  const sized = truncate === undefined ? backend : truncating(backend, truncate, deps);
  return mode === 'batch' ? batching(sized, batch, deps) : blocking(sized, mode === 'blocking-strict');
}
