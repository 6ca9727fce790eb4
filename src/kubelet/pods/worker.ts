/**
 * One pod on this node, from its first sight to its last trace. All work on a pod happens in one loop, one pass at a
 * time; whatever happens (an API change, an exit, a probe, a timer) only wakes it. pkg/kubelet/pod_workers.go upstream.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Pod, PodStatus } from '#kube/generated/core-v1.ts';
import { pods } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { backoffMs } from '#lib/backoff.ts';
import type { Timer } from '#platform/clock.ts';
import { refusePod } from './admission.ts';
import { type StartFailure, timeText } from './container-status.ts';
import type { PodContext } from './context.ts';
import { forgetPod, removeDeadContainers } from './gc.ts';
import { killPod } from './kill.ts';
import { lastWords } from './last-words.ts';
import { type PodIdentity, podText } from './names.ts';
import { createOomWatch } from './oom.ts';
import { podCgroup, qosClass } from './resources.ts';
import { createRestartBackoff } from './restart-backoff.ts';
import { type PodRuntime, readPodRuntime } from './runtime.ts';
import { isTerminal, podIpsOf, podStatus } from './status.ts';
import { type SyncResult, syncPod } from './sync.ts';

export interface PodWorker {
  readonly identity: PodIdentity;
  /** The pod as the API last showed it; undefined when only the runtime knows it. */
  readonly pod: () => Pod | undefined;
  readonly runtime: () => PodRuntime | undefined;
  /** The node has taken the pod on, and it has not ended. */
  readonly admitted: () => boolean;
  readonly update: (pod: Pod) => void;
  /** The API no longer has the pod: everything of it is to go. `last` is its last state there. */
  readonly removed: (last?: Pod) => void;
  readonly wake: () => void;
  /** Calls `fn` whenever the runtime was asked about the pod, until the result is called. */
  readonly onRefresh: (fn: () => void) => () => void;
  /** containerd said that a container or sandbox of the pod ended; the CRI will show it in a moment. */
  readonly exited: (id: string) => void;
  /** Ends the pod for a reason of the node's own; it becomes Failed. */
  readonly evict: (reason: string, message: string, graceSeconds: number) => void;
  /** Runs until nothing of the pod is left, or the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** What passes share. */
export interface PodState {
  pod: Pod | undefined;
  runtime: PodRuntime;
  readonly failures: Map<string, StartFailure>;
  readonly backoff: ReturnType<typeof createRestartBackoff>;
  readonly messages: Map<string, string>;
  readonly expectedExits: Set<string>;
  verdict: { readonly reason: string; readonly message: string } | undefined;
  graceSeconds: number | undefined;
  /** Times in a row that volumes could not be set up. */
  volumeFailures: number;
  phase: 'syncing' | 'ending' | 'ended';
  readonly startedMs: number;
}

const retry = { baseMs: 1000, maxMs: 60_000 };
const minRemovedGraceSeconds = 1;
/** What is looked at again even if nothing said that it changed. */
const safetyNetMs = 10 * 60_000;

/** Conditions by others that a pod's readiness waits for. */
const gatesOf = (pod: Pod | undefined): readonly unknown[] =>
  (pod?.spec?.readinessGates ?? []).map((g) => pod?.status?.conditions?.find((c) => c.type === g.conditionType)?.status);

export function createPodWorker(context: PodContext, identity: PodIdentity, initial: Pod | undefined): PodWorker {
  const { clock, log } = context;
  const state: PodState = {
    pod: initial,
    runtime: { ...identity, sandboxes: [], containers: [] },
    failures: new Map(),
    backoff: createRestartBackoff(clock),
    messages: new Map(),
    expectedExits: new Set(),
    verdict: undefined,
    graceSeconds: undefined,
    volumeFailures: 0,
    phase: 'syncing',
    startedMs: clock.now(),
  };
  const oom = createOomWatch(initial, context.killedByKernel);
  let removed = initial === undefined;
  let finished = false;
  let seeded = false;
  let admitted = false;
  let refused = false;
  let tornDown = false;
  let dirtyVolumes = false;
  let pending = true;
  let signalWake: (() => void) | undefined;
  let timer: Timer | undefined;
  let interrupt = new AbortController();
  let failures = 0;
  const listeners = new Set<() => void>();

  const wake = (): void => {
    pending = true;
    signalWake?.();
  };
  const volumesChanged = (): void => {
    dirtyVolumes = true;
    wake();
  };

  /** Asks the runtime, and again for a moment while it still shows as running what containerd said has ended. */
  async function refresh(): Promise<PodRuntime> {
    for (let attempt = 1; ; attempt++) {
      const runtime = await readPodRuntime(context.cri(), identity);
      const late = [...state.expectedExits].filter(
        (id) =>
          runtime.containers.some((c) => c.id === id && (c.state === 'running' || c.state === 'created')) ||
          runtime.sandboxes.some((s) => s.id === id && s.ready),
      );
      if (late.length === 0 || attempt === 12) {
        state.expectedExits.clear();
        state.runtime = { ...runtime, containers: await oom.observe(runtime.containers) };
        break;
      }
      await clock.sleep(Math.min(500, 5 * 2 ** attempt));
    }
    for (const record of state.runtime.containers) {
      if (record.state === 'exited' && !state.messages.has(record.id)) state.messages.set(record.id, await lastWords(record));
    }
    for (const listener of listeners) listener();
    for (const id of state.messages.keys()) if (!state.runtime.containers.some((c) => c.id === id)) state.messages.delete(id);
    return state.runtime;
  }

  function publish(): PodStatus | undefined {
    const { pod, runtime } = state;
    if (pod === undefined || removed) return undefined;
    const old = context.statuses.get(identity.uid) ?? pod.status ?? {};
    if (refused && state.verdict !== undefined) {
      const status = {
        ...old,
        ...state.verdict,
        phase: 'Failed',
        qosClass: old.qosClass ?? qosClass(pod),
        startTime: old.startTime ?? timeText(state.startedMs),
      };
      context.statuses.set(identity, status);
      return status;
    }
    const status = podStatus({
      pod,
      runtime,
      old,
      failures: state.failures,
      ready: (container, record) => context.prober.ready(container, record),
      started: (container, record) => context.prober.started(container, record),
      terminationMessages: state.messages,
      ending: state.phase !== 'syncing',
      ended: state.phase === 'ended',
      nodeIps: context.node().ips,
      startedMs: state.startedMs,
      nowMs: clock.now(),
      // Failed is only shown once nothing runs any more.
      ...(state.verdict === undefined || state.phase !== 'ended' ? {} : { verdict: state.verdict }),
    });
    context.statuses.set(identity, status);
    return status;
  }

  const podIp = (pod: Pod): string =>
    podIpsOf({ pod, runtime: state.runtime, nodeIps: context.node().ips, old: pod.status ?? {} })[0] ?? '';

  /** What ran before us is believed to be as healthy as its last status said, until its probes say otherwise. */
  function seedProbes(pod: Pod): void {
    if (seeded) return;
    seeded = true;
    for (const status of [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])]) {
      if (status.state?.running !== undefined && status.containerID !== undefined) {
        context.prober.seed(status.containerID.replace(/^containerd:\/\//, ''), status.ready, status.started ?? false);
      }
    }
  }

  function deadlineIn(pod: Pod, status: PodStatus | undefined): number | undefined {
    const seconds = pod.spec?.activeDeadlineSeconds;
    if (seconds === undefined) return undefined;
    const start = Date.parse(status?.startTime ?? '') || state.startedMs;
    return start + seconds * 1000 - clock.now();
  }

  /** Decided once. What runs already was admitted before a restart. */
  function admit(pod: Pod): boolean {
    if (admitted) return true;
    const known = state.runtime.sandboxes.length > 0 || isTerminal(pod.status);
    const refusal = known ? undefined : refusePod(pod, context.admitted(identity.uid), context.nodeObject());
    admitted = refusal === undefined;
    refused = !admitted;
    if (refusal === undefined) return true;
    state.verdict = { reason: refusal.reason, message: `Pod was rejected: ${refusal.message}` };
    context.event(pod, undefined, 'Warning', refusal.reason, refusal.message);
    state.phase = 'ending';
    return false;
  }

  async function syncPass(pod: Pod): Promise<number | undefined> {
    await refresh();
    if (!admit(pod)) return 0;
    seedProbes(pod);
    context.prober.sync(pod, state.runtime, podIp(pod), wake);
    const status = publish();
    const deadline = deadlineIn(pod, status);
    if (deadline !== undefined && deadline <= 0 && !isTerminal(status)) {
      state.verdict = { reason: 'DeadlineExceeded', message: 'Pod was active on the node longer than the specified deadline' };
      context.event(pod, undefined, 'Normal', 'DeadlineExceeded', state.verdict.message);
    }
    if (state.verdict !== undefined || isTerminal(status)) {
      state.phase = 'ending';
      return 0;
    }
    if (dirtyVolumes) {
      dirtyVolumes = false;
      await context.volumes.refresh(pod);
    }
    const result: SyncResult = await syncPod(context, state, pod, {
      signal: interrupt.signal,
      refresh,
      publish,
      volumesChanged,
      wake,
      podIp: () => podIp(pod),
    });
    if (result.done) {
      state.phase = 'ending';
      return 0;
    }
    await removeDeadContainers(context, state.runtime);
    const times = [result.retryMs, deadline === undefined ? undefined : Math.max(0, deadline)].filter((t) => t !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Undefined: what the pod itself says. */
  function graceSeconds(): number | undefined {
    if (!removed) return state.graceSeconds;
    const { metadata, spec } = state.pod ?? {};
    return Math.max(minRemovedGraceSeconds, metadata?.deletionGracePeriodSeconds ?? spec?.terminationGracePeriodSeconds ?? 0);
  }

  async function endPass(): Promise<number | undefined> {
    const runtime = await refresh();
    const { pod } = state;
    publish();
    const grace = graceSeconds();
    const ip = pod === undefined ? '' : podIp(pod);
    await killPod(context, pod, runtime, { podIp: ip, signal: interrupt.signal, ...(grace === undefined ? {} : { graceSeconds: grace }) });
    await refresh();
    context.prober.stop(identity.uid);
    state.phase = 'ended';
    publish();
    return 0;
  }

  /** Only when nothing of the pod is mounted any more may the API forget it. */
  async function tearDown(): Promise<void> {
    if (tornDown) return;
    await context.volumes.tearDown(identity.uid);
    if (state.pod !== undefined) await context.cgroups.remove(podCgroup(state.pod, context.cgroups.host.systemd).path);
    tornDown = true;
  }

  /** Everything is down: what remains is the API object, and after it the records. */
  async function endedPass(): Promise<number | undefined> {
    await tearDown();
    if (!removed && state.pod?.metadata.deletionTimestamp !== undefined) {
      publish();
      await context.statuses.flushed(identity.uid);
      try {
        await context.client.delete(
          pods,
          { namespace: identity.namespace, name: identity.name },
          { gracePeriodSeconds: 0, preconditions: { uid: identity.uid } },
        );
      } catch (error) {
        if (!isStatus(error, 'NotFound', 'Conflict')) throw error;
        removed = true;
      }
      // The informer tells when it is gone.
      if (!removed) return undefined;
    }
    if (!removed) {
      publish();
      return undefined;
    }
    await forgetPod(context, state.pod, state.runtime);
    finished = true;
    return undefined;
  }

  async function pass(): Promise<number | undefined> {
    const { pod } = state;
    const mustEnd = removed || pod?.metadata.deletionTimestamp !== undefined;
    if (mustEnd && state.phase === 'syncing') state.phase = 'ending';
    if (state.phase === 'syncing' && pod !== undefined) return syncPass(pod);
    if (state.phase === 'ending') return endPass();
    return endedPass();
  }

  async function guardedPass(): Promise<number | undefined> {
    interrupt = new AbortController();
    try {
      const again = await pass();
      failures = 0;
      return again;
    } catch (error) {
      if (interrupt.signal.aborted) return 0;
      failures++;
      log[failures === 1 ? 'warn' : 'debug']('a pod could not be brought to its state, will retry', { pod: podText(identity), error });
      return backoffMs(failures, retry);
    }
  }

  async function nextWake(signal: AbortSignal): Promise<void> {
    if (pending || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        resolve();
      };
      signalWake = done;
      signal.addEventListener('abort', done, { once: true });
    });
    signalWake = undefined;
  }

  const deletionChanged = (before: Pod | undefined, after: Pod): boolean =>
    before?.metadata.deletionTimestamp !== after.metadata.deletionTimestamp ||
    before?.metadata.deletionGracePeriodSeconds !== after.metadata.deletionGracePeriodSeconds;

  return {
    identity,
    pod: () => state.pod,
    runtime: () => state.runtime,
    admitted: () => admitted && state.phase === 'syncing',
    update: (pod) => {
      const before = state.pod;
      state.pod = pod;
      const ending = pod.metadata.deletionTimestamp !== undefined && deletionChanged(before, pod);
      if (ending) interrupt.abort();
      // Labels and annotations show in downward API volumes.
      if (
        JSON.stringify([before?.metadata.labels, before?.metadata.annotations]) !==
        JSON.stringify([pod.metadata.labels, pod.metadata.annotations])
      )
        dirtyVolumes = true;
      // Our own status writes come back as updates that ask for nothing.
      if (
        ending ||
        dirtyVolumes ||
        before?.metadata.generation !== pod.metadata.generation ||
        !isDeepStrictEqual(gatesOf(before), gatesOf(pod))
      )
        wake();
    },
    removed: (last) => {
      removed = true;
      if (last !== undefined) state.pod = last;
      interrupt.abort();
      wake();
    },
    wake,
    onRefresh: (fn) => {
      listeners.add(fn);
      return () => void listeners.delete(fn);
    },
    exited: (id) => {
      state.expectedExits.add(id);
      wake();
    },
    evict: (reason, message, grace) => {
      state.verdict = { reason, message };
      state.graceSeconds = grace;
      interrupt.abort();
      wake();
    },
    run: async (signal) => {
      const stop = (): void => interrupt.abort();
      signal.addEventListener('abort', stop, { once: true });
      while (!finished && !signal.aborted) {
        await nextWake(signal);
        if (signal.aborted) break;
        pending = false;
        timer?.cancel();
        const again = await guardedPass();
        if (again === 0) pending = true;
        else timer = clock.after(again ?? safetyNetMs, wake);
      }
      timer?.cancel();
      signal.removeEventListener('abort', stop);
      context.prober.stop(identity.uid);
    },
  };
}
