/**
 * Tells users what happened to an object, as core/v1 Events. Repeated events become one with a count, many similar ones
 * are combined, and an object that produces too many is silenced: k8s.io/client-go tools/record events_cache.go.
 */
import type { Event, ObjectReference } from '#kube/generated/core-v1.ts';
import type { KubeObject } from '#kube/object.ts';
import { events1 } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { backoffMs } from '#lib/backoff.ts';
import { Channel } from '#lib/channel.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { KubeClient } from './contract.ts';
import { tokenBucket } from './work-queue.ts';

/** What an event is about: an object, or a reference to one (kubelet: a container of a pod by fieldPath). */
export type EventSubject = KubeObject | ObjectReference;

export interface EventRecorder {
  /** Never waits and never fails: what cannot be sent is dropped. `annotations` go onto the Event. */
  readonly event: (
    subject: EventSubject,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    annotations?: Readonly<Record<string, string>>,
  ) => void;
  /** Sends until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'patch'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Upstream's component name: deployment-controller, kubelet, default-scheduler. */
  readonly component: string;
  /** The node, for components that run on one. */
  readonly host?: string;
}

const maxQueued = 1000;
const cacheSize = 4096;
const maxSimilar = 10;
const similarForMs = 600_000;
const spamBurst = 25;
const spamPerSecond = 1 / 300;
const maxAttempts = 12;
const retry = { baseMs: 500, maxMs: 10_000 };
/** Longer messages (error chains of runtimes) are cut. */
const maxMessageBytes = 4096;

interface Occurrence {
  readonly reference: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly atMs: number;
}

interface Sent {
  readonly name: string;
  readonly namespace: string;
  readonly count: number;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { clock, log } = options;
  const queue = new Channel<Occurrence>(maxQueued);
  const correlator = createCorrelator(clock);
  const sent = new LruMap<Sent>(cacheSize);
  let sequence = 0;

  const uniqueName = (subject: string): string => {
    // Upstream appends the time in nanoseconds as hex; the sequence keeps events of one millisecond apart.
    sequence = (sequence + 1) % 1_000_000;
    return `${subject}.${(BigInt(Math.floor(clock.now())) * 1_000_000n + BigInt(sequence)).toString(16)}`;
  };
  const send = async (occurrence: Occurrence, signal: AbortSignal): Promise<void> => {
    const correlated = correlator(occurrence);
    if (correlated === undefined) return;
    const known = sent.get(correlated.key);
    const at = isoTime(occurrence.atMs);
    if (known !== undefined) {
      const count = known.count + 1;
      try {
        const patch = { count, lastTimestamp: at, message: correlated.message };
        await options.client.patch(events1, { namespace: known.namespace, name: known.name }, 'strategic', patch, { signal });
        sent.set(correlated.key, { ...known, count });
        return;
      } catch (error) {
        // The event has expired: it is written anew, keeping its count.
        if (!isStatus(error, 'NotFound')) throw error;
      }
    }
    const count = (known?.count ?? 0) + 1;
    const event = eventOf(occurrence, correlated.message, count, uniqueName(occurrence.reference.name ?? ''), options);
    await options.client.create(events1, event, { signal });
    sent.set(correlated.key, { name: event.metadata.name ?? '', namespace: event.metadata.namespace ?? '', count });
  };
  const deliver = async (occurrence: Occurrence, signal: AbortSignal): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      try {
        await send(occurrence, signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        const transient = isStatus(error, 'ServiceUnavailable', 'TooManyRequests', 'Timeout', 'ServerTimeout', 'InternalError');
        if (!transient || attempt >= maxAttempts) {
          // Forbidden is usual: the namespace is being deleted.
          log.debug('event dropped', { reason: occurrence.reason, object: occurrence.reference.name, error });
          return;
        }
        await clock.sleep(backoffMs(attempt, retry), signal).catch(() => undefined);
      }
    }
  };

  return {
    event: (subject, type, reason, message, annotations) => {
      const occurrence = { reference: referenceTo(subject), type, reason, message: shortened(message), annotations, atMs: clock.now() };
      if (!queue.push(occurrence)) log.debug('event dropped: too many waiting', { reason });
    },
    run: async (signal) => {
      if (signal.aborted) return;
      const stop = (): void => queue.close();
      signal.addEventListener('abort', stop, { once: true });
      for await (const occurrence of queue) {
        if (signal.aborted) break;
        await deliver(occurrence, signal);
      }
    },
  };
}

const isoTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');

function shortened(message: string): string {
  if (Buffer.byteLength(message) <= maxMessageBytes) return message;
  return `${Buffer.from(message)
    .subarray(0, maxMessageBytes - 4)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')}...`;
}

function referenceTo(subject: EventSubject): ObjectReference {
  if (!('metadata' in subject)) return subject;
  const { metadata, apiVersion, kind } = subject;
  return {
    apiVersion,
    kind,
    ...(metadata.name === undefined ? {} : { name: metadata.name }),
    ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
    ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
    ...(metadata.resourceVersion === undefined ? {} : { resourceVersion: metadata.resourceVersion }),
  };
}

function eventOf(o: Occurrence, message: string, count: number, name: string, options: EventRecorderOptions): Event {
  const { namespace } = o.reference;
  const at = isoTime(o.atMs);
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      name,
      // Events about cluster-scoped objects live in the default namespace.
      namespace: namespace === undefined || namespace === '' ? 'default' : namespace,
      ...(o.annotations === undefined ? {} : { annotations: o.annotations }),
    },
    involvedObject: o.reference,
    reason: o.reason,
    message,
    source: { component: options.component, ...(options.host === undefined ? {} : { host: options.host }) },
    firstTimestamp: at,
    lastTimestamp: at,
    count,
    type: o.type,
    reportingComponent: options.component,
    reportingInstance: options.host ?? '',
  };
}

/** Gives the key under which the event is counted and the text to show, or undefined when it is to be dropped. */
function createCorrelator(clock: Clock): (o: Occurrence) => { readonly key: string; readonly message: string } | undefined {
  const similar = new LruMap<{ messages: Set<string>; lastMs: number }>(cacheSize);
  const buckets = new LruMap<ReturnType<typeof tokenBucket>>(cacheSize);
  return (o) => {
    const r = o.reference;
    const about = [r.kind, r.namespace, r.name, r.uid, r.apiVersion].join('|');
    let bucket = buckets.get(about);
    if (bucket === undefined) {
      bucket = tokenBucket(clock, spamPerSecond, spamBurst);
      buckets.set(about, bucket);
    }
    if (!bucket.allow()) return undefined;

    const group = [about, o.type, o.reason].join('|');
    const known = similar.get(group);
    const record = known === undefined || o.atMs - known.lastMs > similarForMs ? { messages: new Set<string>(), lastMs: 0 } : known;
    record.lastMs = o.atMs;
    record.messages.add(o.message);
    similar.set(group, record);
    if (record.messages.size < maxSimilar) return { key: `${group}|${r.fieldPath ?? ''}|${o.message}`, message: o.message };
    // Only the number of different messages matters from here on: one of them is given up for the next.
    record.messages.delete(o.message);
    return { key: group, message: shortened(`(combined from similar events): ${o.message}`) };
  };
}

/** A map that forgets what was set longest ago. */
class LruMap<V> {
  readonly #limit: number;
  readonly #map = new Map<string, V>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): V | undefined {
    return this.#map.get(key);
  }

  set(key: string, value: V): void {
    this.#map.delete(key);
    this.#map.set(key, value);
    if (this.#map.size > this.#limit) this.#map.delete(this.#map.keys().next().value as string);
  }
}
