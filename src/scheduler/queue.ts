/**
 * Pods that wait for a node: `active` ones in order of priority, `backoff` ones that failed a moment ago, and
 * `unschedulable` ones that wait until something happens that may let them fit.
 */
import { backoffMs } from '#lib/backoff.ts';
import { Heap } from '#lib/heap.ts';
import type { Clock, Timer } from '#platform/clock.ts';
import type { ClusterEvent, Plugin, PodInfo } from './framework.ts';

type Place = 'active' | 'backoff' | 'unschedulable' | 'away';

export interface QueuedPod {
  readonly uid: string;
  info: PodInfo;
  /** When it came into the queue, for order among equals. */
  readonly sequence: number;
  attempts: number;
  /** Names of the plugins whose refusal it waits on; empty: any event will do. */
  rejectedBy: ReadonlySet<string>;
  place: Place;
  /** Changes with every move, so that stale heap entries are recognized. */
  stamp: number;
  backoffUntil: number;
  since: number;
}

const backoff = { baseMs: 1000, maxMs: 10_000 };
/** After so long an unschedulable pod is tried again whatever happened (upstream's podMaxInUnschedulablePodsDuration). */
const longestWaitMs = 300_000;
const flushEveryMs = 30_000;

interface Entry {
  readonly pod: QueuedPod;
  readonly stamp: number;
}

export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #plugins: ReadonlyMap<string, Plugin>;
  readonly #pods = new Map<string, QueuedPod>();
  readonly #active = new Heap<Entry>(
    (a, b) => a.pod.info.priority > b.pod.info.priority || (a.pod.info.priority === b.pod.info.priority && a.pod.sequence < b.pod.sequence),
  );
  readonly #backoff = new Heap<Entry>((a, b) => a.pod.backoffUntil < b.pod.backoffUntil);
  readonly #unschedulable = new Set<QueuedPod>();
  #sequence = 0;
  #stamp = 0;
  #wake: (() => void) | undefined;
  #backoffTimer: { readonly timer: Timer; readonly due: number } | undefined;
  #flushTimer: Timer | undefined;

  constructor(options: { readonly clock: Clock; readonly plugins: readonly Plugin[] }) {
    this.#clock = options.clock;
    this.#plugins = new Map(options.plugins.map((p) => [p.name, p]));
  }

  /** A pod without a node that is new here, or has changed. */
  set(info: PodInfo): void {
    const known = this.#pods.get(info.uid);
    if (known === undefined) {
      const pod: QueuedPod = {
        uid: info.uid,
        info,
        sequence: this.#sequence++,
        attempts: 0,
        rejectedBy: new Set(),
        place: 'away',
        stamp: 0,
        backoffUntil: 0,
        since: this.#clock.monotonic(),
      };
      this.#pods.set(info.uid, pod);
      if (isGated(info)) this.#park(pod, new Set(['SchedulingGates']));
      else this.#activate(pod);
      return;
    }
    const old = known.info;
    known.info = info;
    if (known.place === 'active' && old.priority !== info.priority) this.#activate(known);
    if (known.place === 'unschedulable' && wishesChanged(old, info) && !isGated(info)) this.#wakeUp(known, { on: 'self' });
  }

  delete(uid: string): void {
    const pod = this.#pods.get(uid);
    if (pod === undefined) return;
    this.#pods.delete(uid);
    this.#unschedulable.delete(pod);
    pod.place = 'away';
    pod.stamp = ++this.#stamp;
  }

  get(uid: string): QueuedPod | undefined {
    return this.#pods.get(uid);
  }

  /** Takes the most important active pod. It stays known until `delete`, or comes back by `failed` or `retry`. */
  pop(): QueuedPod | undefined {
    this.#releaseBackoff();
    for (;;) {
      const entry = this.#active.pop();
      if (entry === undefined) return undefined;
      if (entry.pod.place !== 'active' || entry.stamp !== entry.pod.stamp) continue;
      entry.pod.place = 'away';
      entry.pod.attempts++;
      return entry.pod;
    }
  }

  /** Resolves when `pop` has something to give; also when the signal aborts. */
  async ready(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#hasActive()) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener('abort', done);
          this.#wake = undefined;
          resolve();
        };
        this.#wake = done;
        signal.addEventListener('abort', done, { once: true });
      });
    }
  }

  /** A popped pod fits nowhere: it waits for an event that one of these plugins cares about. */
  failed(pod: QueuedPod, rejectedBy: ReadonlySet<string>): void {
    if (this.#pods.get(pod.uid) !== pod) return;
    pod.backoffUntil = this.#clock.monotonic() + backoffMs(pod.attempts, backoff);
    this.#park(pod, rejectedBy);
  }

  /** A popped pod failed for another reason than not fitting: it is tried again after its backoff. */
  retry(pod: QueuedPod): void {
    if (this.#pods.get(pod.uid) !== pod) return;
    pod.backoffUntil = this.#clock.monotonic() + backoffMs(pod.attempts, backoff);
    this.#toBackoff(pod);
  }

  /** Something happened in the cluster: wakes the pods it may help. */
  happened(event: ClusterEvent): void {
    for (const pod of [...this.#unschedulable]) if (this.#helps(event, pod)) this.#wakeUp(pod, event);
  }

  sizes(): Readonly<Record<'active' | 'backoff' | 'unschedulable' | 'gated', number>> {
    const sizes = { active: 0, backoff: 0, unschedulable: 0, gated: 0 };
    for (const pod of this.#pods.values()) {
      if (pod.place === 'unschedulable' && isGated(pod.info)) sizes.gated++;
      else if (pod.place !== 'away') sizes[pod.place]++;
    }
    return sizes;
  }

  close(): void {
    this.#backoffTimer?.timer.cancel();
    this.#flushTimer?.cancel();
    this.#backoffTimer = undefined;
    this.#flushTimer = undefined;
  }

  #hasActive(): boolean {
    this.#releaseBackoff();
    for (let top = this.#active.peek(); top !== undefined; top = this.#active.peek()) {
      if (top.pod.place === 'active' && top.stamp === top.pod.stamp) return true;
      this.#active.pop();
    }
    return false;
  }

  #helps(event: ClusterEvent, pod: QueuedPod): boolean {
    if (isGated(pod.info)) return false;
    if (event.on === 'timeout' || pod.rejectedBy.size === 0) return true;
    for (const name of pod.rejectedBy) if (this.#plugins.get(name)?.wakesOn(event, pod.info) ?? true) return true;
    return false;
  }

  #wakeUp(pod: QueuedPod, event: ClusterEvent): void {
    if (!this.#helps(event, pod)) return;
    this.#unschedulable.delete(pod);
    if (pod.backoffUntil > this.#clock.monotonic()) this.#toBackoff(pod);
    else this.#activate(pod);
  }

  #activate(pod: QueuedPod): void {
    pod.place = 'active';
    pod.stamp = ++this.#stamp;
    this.#active.push({ pod, stamp: pod.stamp });
    this.#wake?.();
  }

  #toBackoff(pod: QueuedPod): void {
    pod.place = 'backoff';
    pod.stamp = ++this.#stamp;
    this.#backoff.push({ pod, stamp: pod.stamp });
    this.#armBackoff();
  }

  #park(pod: QueuedPod, rejectedBy: ReadonlySet<string>): void {
    pod.place = 'unschedulable';
    pod.stamp = ++this.#stamp;
    pod.rejectedBy = rejectedBy;
    pod.since = this.#clock.monotonic();
    this.#unschedulable.add(pod);
    this.#flushTimer ??= this.#clock.after(flushEveryMs, () => this.#flush());
  }

  #flush(): void {
    this.#flushTimer = undefined;
    const old = this.#clock.monotonic() - longestWaitMs;
    for (const pod of [...this.#unschedulable]) if (pod.since <= old) this.#wakeUp(pod, { on: 'timeout' });
    if (this.#unschedulable.size > 0) this.#flushTimer = this.#clock.after(flushEveryMs, () => this.#flush());
  }

  #releaseBackoff(): void {
    const now = this.#clock.monotonic();
    for (let top = this.#backoff.peek(); top !== undefined; top = this.#backoff.peek()) {
      const live = top.pod.place === 'backoff' && top.stamp === top.pod.stamp;
      if (live && top.pod.backoffUntil > now) return;
      this.#backoff.pop();
      if (live) this.#activate(top.pod);
    }
  }

  #armBackoff(): void {
    const top = this.#backoff.peek();
    if (top === undefined || (this.#backoffTimer !== undefined && this.#backoffTimer.due <= top.pod.backoffUntil)) return;
    this.#backoffTimer?.timer.cancel();
    const due = top.pod.backoffUntil;
    const wait = Math.ceil(due - this.#clock.monotonic());
    const timer = this.#clock.after(wait, () => {
      this.#backoffTimer = undefined;
      this.#releaseBackoff();
      this.#armBackoff();
    });
    this.#backoffTimer = { timer, due };
  }
}

const isGated = (info: PodInfo): boolean => (info.pod.spec?.schedulingGates ?? []).length > 0;

/** Whether what scheduling looks at in the pod itself has changed (its status has no say). */
function wishesChanged(old: PodInfo, now: PodInfo): boolean {
  if (old.pod.metadata.generation !== now.pod.metadata.generation) return true;
  if (JSON.stringify(old.labels) !== JSON.stringify(now.labels)) return true;
  return now.pod.metadata.generation === undefined && JSON.stringify(old.pod.spec) !== JSON.stringify(now.pod.spec);
}
