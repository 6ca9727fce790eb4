/** A pod's status from what the runtime shows: phase and conditions as pkg/kubelet/kubelet_pods.go and status/generate.go. Pure. */
import type { ContainerStatus, Pod, PodCondition, PodStatus } from '#kube/generated/core-v1.ts';
import { isSidecar } from './actions.ts';
import { type ContainerFacts, containerStatuses, timeText } from './container-status.ts';
import { qosClass } from './resources.ts';

export interface StatusInput extends ContainerFacts {
  readonly nodeIps: readonly string[];
  readonly startedMs: number;
  readonly nowMs: number;
  /** What was last written, or read from the API: keeps times of conditions and states of containers that are gone. */
  readonly old: PodStatus;
  /** Set when the kubelet ended or refused the pod itself: DeadlineExceeded, Evicted, … */
  readonly verdict?: { readonly reason: string; readonly message: string };
}

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';

export const isTerminal = (status: PodStatus | undefined): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';

interface Statuses {
  readonly init: readonly ContainerStatus[];
  readonly main: readonly ContainerStatus[];
}

function initPending(pod: Pod, statuses: Statuses, mainMade: boolean): { readonly pending: boolean; readonly failed: boolean } {
  let pending = false;
  let failed = false;
  for (const [i, init] of (pod.spec?.initContainers ?? []).entries()) {
    const status = statuses.init[i];
    const ended = status?.state?.terminated ?? (status?.state?.waiting === undefined ? undefined : status.lastState?.terminated);
    if (isSidecar(init)) {
      if (!mainMade && status?.started !== true) pending = true;
    } else if (status?.state?.terminated?.exitCode === 0) continue;
    else if (ended !== undefined && ended.exitCode !== 0 && (pod.spec?.restartPolicy === 'Never' || init.restartPolicy === 'Never'))
      failed = true;
    else pending = true;
  }
  return { pending: pending && !mainMade, failed: failed && !mainMade };
}

/** pkg/kubelet/kubelet_pods.go getPhase. */
export function podPhase(pod: Pod, statuses: Statuses, ended: boolean): Phase {
  let running = 0;
  let waiting = 0;
  let stopped = 0;
  let succeeded = 0;
  for (const s of statuses.main) {
    if (s.state?.running !== undefined) running++;
    else if (s.state?.terminated !== undefined) {
      stopped++;
      if (s.state.terminated.exitCode === 0) succeeded++;
    } else if (s.lastState?.terminated !== undefined) stopped++;
    else waiting++;
  }
  const mainMade = running + stopped > 0;
  const init = initPending(pod, statuses, mainMade);
  if (init.failed) return 'Failed';
  if (init.pending || waiting > 0) return ended && stopped > 0 && waiting === 0 ? 'Failed' : 'Pending';
  if (running > 0) return 'Running';
  if (stopped === 0) return 'Pending';
  const sidecarRuns = statuses.init.some((s) => s.state?.running !== undefined);
  if (sidecarRuns && !ended) return 'Running';
  const policy = pod.spec?.restartPolicy ?? 'Always';
  if (ended) return succeeded === stopped ? 'Succeeded' : 'Failed';
  if (policy === 'Always') return 'Running';
  if (succeeded === stopped) return 'Succeeded';
  return policy === 'Never' ? 'Failed' : 'Running';
}

type Verdict = Pick<PodCondition, 'status' | 'reason' | 'message'>;
const yes: Verdict = { status: 'True' };
const no = (reason: string, message = ''): Verdict => ({ status: 'False', reason, ...(message === '' ? {} : { message }) });

function containersReady(statuses: readonly ContainerStatus[], sidecars: readonly ContainerStatus[], phase: Phase): Verdict {
  if (phase === 'Succeeded') return no('PodCompleted');
  if (phase === 'Failed') return no('PodFailed');
  const unready = [...sidecars, ...statuses].filter((s) => !s.ready).map((s) => s.name);
  return unready.length === 0 ? yes : no('ContainersNotReady', `containers with unready status: [${unready.join(' ')}]`);
}

function initialized(pod: Pod, statuses: Statuses, phase: Phase): Verdict {
  const inits = pod.spec?.initContainers ?? [];
  if (inits.length === 0) return yes;
  const incomplete = inits.flatMap((init, i) => {
    const s = statuses.init[i];
    const done = isSidecar(init) ? s?.started === true : s?.ready === true;
    return done ? [] : [init.name];
  });
  if (phase === 'Succeeded') return { status: 'True', reason: 'PodCompleted' };
  const mainMade = statuses.main.some((s) => s.containerID !== undefined);
  if (incomplete.length === 0 || (mainMade && incomplete.every((name) => inits.some((c) => c.name === name && isSidecar(c))))) return yes;
  return no('ContainersNotInitialized', `containers with incomplete status: [${incomplete.join(' ')}]`);
}

function podReady(pod: Pod, containers: Verdict, conditions: readonly PodCondition[]): Verdict {
  if (containers.status !== 'True') return containers;
  const missing: string[] = [];
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const found = conditions.find((c) => c.type === conditionType);
    if (found === undefined) missing.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    else if (found.status !== 'True')
      missing.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`);
  }
  return missing.length === 0 ? yes : no('ReadinessGatesNotReady', missing.join(', '));
}

/** Types that the kubelet writes; all others belong to others and are left alone. */
export const ownConditions = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'] as const;

function conditionsOf(input: StatusInput, statuses: Statuses, phase: Phase, podIps: readonly string[]): readonly PodCondition[] {
  const { pod, old } = input;
  const sidecars = statuses.init.filter((_, i) => {
    const init = pod.spec?.initContainers?.[i];
    return init !== undefined && isSidecar(init);
  });
  const ready = containersReady(statuses.main, sidecars, phase);
  const sandbox = input.runtime.sandboxes[0];
  const network = sandbox?.ready === true && (pod.spec?.hostNetwork === true || podIps.length > 0);
  const verdicts: Readonly<Record<(typeof ownConditions)[number], Verdict>> = {
    PodReadyToStartContainers: { status: network ? 'True' : 'False' },
    Initialized: initialized(pod, statuses, phase),
    Ready: podReady(pod, ready, old.conditions ?? []),
    ContainersReady: ready,
    PodScheduled: yes,
  };
  return ownConditions.map((type) => {
    const before = old.conditions?.find((c) => c.type === type);
    const verdict = verdicts[type];
    const generation = pod.metadata.generation;
    return {
      type,
      ...verdict,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      lastTransitionTime:
        before?.status === verdict.status && before.lastTransitionTime ? before.lastTransitionTime : timeText(input.nowMs),
    };
  });
}

/** Addresses of the newest sandbox; a pod in the node's network has the node's. */
export function podIpsOf(input: Pick<StatusInput, 'pod' | 'runtime' | 'nodeIps' | 'old'>): readonly string[] {
  const sandbox = input.runtime.sandboxes[0];
  if (input.pod.spec?.hostNetwork === true) return sandbox === undefined ? [] : input.nodeIps;
  if (sandbox !== undefined && sandbox.ips.length > 0) return sandbox.ips;
  // containerd forgets the addresses of an ended sandbox; the last ones stay in the status.
  return (input.old.podIPs ?? []).flatMap((p) => (p.ip === undefined ? [] : [p.ip]));
}

/** The whole status, without what others own in it. */
export function podStatus(input: StatusInput): PodStatus {
  const { pod, old } = input;
  const statuses: Statuses = {
    init: containerStatuses(pod.spec?.initContainers ?? [], true, old.initContainerStatuses ?? [], input),
    main: containerStatuses(pod.spec?.containers ?? [], false, old.containerStatuses ?? [], input),
  };
  const ephemeral = containerStatuses(pod.spec?.ephemeralContainers ?? [], false, old.ephemeralContainerStatuses ?? [], input).map(
    asEphemeral,
  );
  // A pod that has failed or succeeded stays so.
  const final = old.phase === 'Failed' || old.phase === 'Succeeded' ? old.phase : undefined;
  const phase = final ?? (input.verdict === undefined ? podPhase(pod, statuses, input.ended) : 'Failed');
  const ips = podIpsOf(input);
  const verdict = input.verdict ?? (final === undefined ? {} : { reason: old.reason, message: old.message });
  return {
    phase,
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    ...(verdict.reason ? { reason: verdict.reason } : {}),
    ...(verdict.message ? { message: verdict.message } : {}),
    conditions: conditionsOf(input, statuses, phase, ips),
    hostIP: input.nodeIps[0] ?? '',
    hostIPs: input.nodeIps.map((ip) => ({ ip })),
    ...(ips.length === 0 ? {} : { podIP: ips[0] ?? '', podIPs: ips.map((ip) => ({ ip })) }),
    startTime: old.startTime ?? timeText(input.startedMs),
    ...(statuses.init.length === 0 ? {} : { initContainerStatuses: statuses.init }),
    containerStatuses: statuses.main,
    ...(ephemeral.length === 0 ? {} : { ephemeralContainerStatuses: ephemeral }),
    qosClass: old.qosClass ?? qosClass(pod),
  };
}

/** Debug containers are never ready or started. */
const asEphemeral = (status: ContainerStatus): ContainerStatus => {
  const { started: _started, ...rest } = status;
  return { ...rest, ready: false };
};
