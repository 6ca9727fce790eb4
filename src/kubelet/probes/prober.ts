/** Startup, liveness and readiness probes of running containers: pkg/kubelet/prober upstream. */
import type { Container, Pod, Probe } from '#kube/generated/core-v1.ts';
import type { Clock } from '#platform/clock.ts';
import type { Random } from '#platform/random.ts';
import type { Health } from '../pods/actions.ts';
import type { ContainerRecord, PodRuntime } from '../pods/runtime.ts';
import type { HandlerResult } from './handlers.ts';

export type ProbeKind = 'startup' | 'liveness' | 'readiness';

/** Carries out one probe. Rejects when it could not be carried out at all, which changes no result. */
export type RunProbe = (probe: Probe, container: Container, record: ContainerRecord, podIp: string) => Promise<HandlerResult>;

export interface ProberDeps {
  readonly run: RunProbe;
  readonly clock: Clock;
  readonly random: Random;
  readonly event: (pod: Pod, container: Container, type: 'Normal' | 'Warning', reason: string, message: string) => void;
}

export interface Prober extends Health {
  /** Starts probing what runs now and ends probing what does not. `changed` is called when a result changes. */
  readonly sync: (pod: Pod, runtime: PodRuntime, podIp: string, changed: () => void) => void;
  /** Sets a result without probing: for containers found running after a restart, from their last status. */
  readonly seed: (containerId: string, ready: boolean, started: boolean) => void;
  readonly ready: (container: Container, record: Pick<ContainerRecord, 'id'>) => boolean;
  /** Ends all probes of the pod, or only those of one kind (a pod that is ending is no longer kept alive, but still reports readiness). */
  readonly stop: (podUid: string) => void;
  readonly results: () => readonly {
    readonly podUid: string;
    readonly container: string;
    readonly kind: ProbeKind;
    readonly ok: boolean | undefined;
  }[];
}

interface Worker {
  readonly podUid: string;
  readonly container: string;
  readonly kind: ProbeKind;
  readonly abort: AbortController;
  result: boolean | undefined;
}

interface Subject {
  readonly pod: Pod;
  readonly container: Container;
  readonly record: ContainerRecord;
  readonly podIp: string;
  readonly changed: () => void;
}

const titles: Readonly<Record<ProbeKind, string>> = { startup: 'Startup', liveness: 'Liveness', readiness: 'Readiness' };
const kinds: readonly ProbeKind[] = ['startup', 'liveness', 'readiness'];

const probeOf = (container: Container, kind: ProbeKind): Probe | undefined =>
  kind === 'startup' ? container.startupProbe : kind === 'liveness' ? container.livenessProbe : container.readinessProbe;

const maxErrors = 3;

export function createProber(deps: ProberDeps): Prober {
  /** By container id and kind. */
  const workers = new Map<string, Worker>();
  const seeds = new Map<string, { readonly ready: boolean; readonly started: boolean }>();
  const keyOf = (id: string, kind: ProbeKind): string => `${id} ${kind}`;

  const started = (container: Container, record: Pick<ContainerRecord, 'id'>): boolean =>
    container.startupProbe === undefined || workers.get(keyOf(record.id, 'startup'))?.result === true;

  /** Retries what could not be carried out; an error that stays counts as a failure for the event only. */
  async function attempt(probe: Probe, subject: Subject): Promise<HandlerResult | Error> {
    let failure: Error = new Error('not probed');
    for (let i = 0; i < maxErrors; i++) {
      try {
        return await deps.run(probe, subject.container, subject.record, subject.podIp);
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error));
      }
    }
    return failure;
  }

  async function loop(worker: Worker, probe: Probe, subject: Subject): Promise<void> {
    const { clock } = deps;
    const { signal } = worker.abort;
    const periodMs = (probe.periodSeconds ?? 10) * 1000;
    const initial = (probe.initialDelaySeconds ?? 0) * 1000 - (clock.now() - subject.record.startedMs);
    if (initial > 0) await clock.sleep(initial, signal);
    let run = 0;
    let last: boolean | undefined;
    while (!signal.aborted) {
      const due = worker.kind === 'startup' || started(subject.container, subject.record);
      if (due) {
        const result = await attempt(probe, subject);
        if (signal.aborted) return;
        report(worker.kind, subject, result);
        if (!(result instanceof Error)) {
          run = last === result.ok ? run + 1 : 1;
          last = result.ok;
          const threshold = result.ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
          if (run >= threshold && worker.result !== result.ok) {
            worker.result = result.ok;
            subject.changed();
            // A startup probe has served once it succeeded; a container that is to be ended needs no more probing.
            if (worker.kind === 'startup' || (worker.kind === 'liveness' && !result.ok)) {
              if (worker.kind === 'startup' && result.ok) startDependents(subject);
              return;
            }
          }
        }
      }
      await clock.sleep(periodMs, signal);
    }
  }

  function report(kind: ProbeKind, subject: Subject, result: HandlerResult | Error): void {
    const title = titles[kind];
    if (result instanceof Error)
      deps.event(
        subject.pod,
        subject.container,
        'Warning',
        'Unhealthy',
        `${title} probe errored and resulted in unknown state: ${result.message}`,
      );
    else if (!result.ok) deps.event(subject.pod, subject.container, 'Warning', 'Unhealthy', `${title} probe failed: ${result.output}`);
  }

  function start(kind: ProbeKind, subject: Subject): void {
    const probe = probeOf(subject.container, kind);
    const key = keyOf(subject.record.id, kind);
    if (probe === undefined || workers.has(key)) return;
    const seed = seeds.get(subject.record.id);
    const worker: Worker = {
      podUid: subject.pod.metadata.uid ?? '',
      container: subject.container.name,
      kind,
      abort: new AbortController(),
      result: kind === 'readiness' && seed?.ready === true ? true : kind === 'startup' && seed?.started === true ? true : undefined,
    };
    workers.set(key, worker);
    if (kind === 'startup' && worker.result === true) return;
    loop(worker, probe, subject).catch((error: unknown) => {
      // The abort that ends a worker comes out of its sleep.
      if (!worker.abort.signal.aborted) subject.changed();
      else void error;
    });
  }

  /** Liveness and readiness begin at once when the startup probe has succeeded. */
  function startDependents(subject: Subject): void {
    start('liveness', subject);
    start('readiness', subject);
  }

  function end(key: string): void {
    workers.get(key)?.abort.abort();
    workers.delete(key);
  }

  return {
    sync: (pod, runtime, podIp, changed) => {
      const running = new Map(runtime.containers.filter((c) => c.state === 'running').map((c) => [c.id, c]));
      for (const [key, worker] of workers) {
        if (worker.podUid === runtime.uid && !running.has(key.split(' ')[0] ?? '')) end(key);
      }
      const sidecars = (pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
      for (const container of [...sidecars, ...(pod.spec?.containers ?? [])]) {
        for (const record of running.values()) {
          if (record.name !== container.name) continue;
          const subject = { pod, container, record, podIp, changed };
          start('startup', subject);
          if (started(container, record)) startDependents(subject);
        }
      }
    },
    seed: (id, ready, isStarted) => void seeds.set(id, { ready, started: isStarted }),
    failed: (id) => {
      for (const kind of ['startup', 'liveness'] as const) if (workers.get(keyOf(id, kind))?.result === false) return kind;
      return undefined;
    },
    started,
    ready: (container, record) =>
      started(container, record) && (container.readinessProbe === undefined || workers.get(keyOf(record.id, 'readiness'))?.result === true),
    stop: (podUid) => {
      for (const [key, worker] of workers) {
        if (worker.podUid !== podUid) continue;
        end(key);
        seeds.delete(key.split(' ')[0] ?? '');
      }
    },
    results: () => [...workers.values()].map((w) => ({ podUid: w.podUid, container: w.container, kind: w.kind, ok: w.result })),
  };
}

export const hasProbe = (container: Container): boolean => kinds.some((kind) => probeOf(container, kind) !== undefined);
