/** Container statuses as the API shows them: pkg/kubelet/kubelet_pods.go convertToAPIContainerStatuses. Pure. */
import type { Container, ContainerState, ContainerStatus, Pod } from '#kube/generated/core-v1.ts';
import { shouldRestart } from './actions.ts';
import { type ContainerRecord, newestOf, type PodRuntime } from './runtime.ts';

/** Why a container could not be started: shown as its waiting state. */
export interface StartFailure {
  readonly reason: string;
  readonly message: string;
}

export interface ContainerFacts {
  readonly pod: Pod;
  readonly runtime: PodRuntime;
  /** By container name. */
  readonly failures: ReadonlyMap<string, StartFailure>;
  readonly ready: (container: Container, record: ContainerRecord) => boolean;
  readonly started: (container: Container, record: ContainerRecord) => boolean;
  /** By container id: what the container left as its last words. */
  readonly terminationMessages: ReadonlyMap<string, string>;
  /** The pod is being ended or has ended: nothing will be started any more. */
  readonly ending: boolean;
  /** Nothing of the pod runs any more, and nothing will. */
  readonly ended: boolean;
}

/** RFC 3339 without fractions, as metav1.Time. */
export const timeText = (ms: number): string => new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');

const containerId = (id: string): string => `containerd://${id}`;

function stateOf(record: ContainerRecord, messages: ReadonlyMap<string, string>): ContainerState {
  if (record.state === 'running') return { running: { startedAt: timeText(record.startedMs) } };
  if (record.state === 'created') return { waiting: {} };
  const message = messages.get(record.id) ?? record.message;
  const terminated = {
    exitCode: record.exitCode,
    reason: record.reason === '' ? (record.exitCode === 0 ? 'Completed' : 'Error') : record.reason,
    ...(message === '' ? {} : { message }),
    startedAt: timeText(record.startedMs),
    finishedAt: timeText(record.finishedMs),
    containerID: containerId(record.id),
  };
  return { terminated };
}

/** The state of a container whose record has vanished while it was expected to be there. */
const lost: ContainerState = {
  terminated: {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located when the pod was terminated',
  },
};

function waitingStatus(container: Container, old: ContainerStatus | undefined, facts: ContainerFacts, reason: string): ContainerStatus {
  const base = {
    name: container.name,
    lastState: {},
    ready: false,
    restartCount: old?.restartCount ?? 0,
    image: container.image ?? '',
    imageID: '',
    started: false,
  };
  if (old?.state?.running !== undefined && facts.ended) return { ...base, state: lost };
  if (old?.state?.terminated !== undefined && facts.ending) return old;
  const lastState = old?.state?.terminated === undefined ? old?.lastState : { terminated: old.state.terminated };
  const failure = facts.failures.get(container.name);
  if (failure === undefined && facts.ended && old?.state?.waiting !== undefined) return { ...base, state: lost };
  return {
    ...base,
    lastState: lastState ?? {},
    state: { waiting: failure === undefined ? { reason } : { reason: failure.reason, message: failure.message } },
  };
}

function statusOf(container: Container, isInit: boolean, old: ContainerStatus | undefined, facts: ContainerFacts): ContainerStatus {
  const hasInit = (facts.pod.spec?.initContainers ?? []).length > 0;
  const record = newestOf(facts.runtime, container.name);
  const waitingReason = hasInit ? 'PodInitializing' : 'ContainerCreating';
  if (record === undefined) {
    // A finished init container whose record was cleaned away did not run in vain.
    if (isInit && old?.state?.terminated !== undefined) return old;
    return waitingStatus(container, old, facts, waitingReason);
  }
  let state = stateOf(record, facts.terminationMessages);
  const previous = facts.runtime.containers.find((c) => c.name === container.name && c.id !== record.id && c.state !== 'running');
  let lastState: ContainerState | undefined = previous === undefined ? undefined : stateOf(previous, facts.terminationMessages);
  if (lastState === undefined && old?.containerID === containerId(record.id)) lastState = old.lastState;
  else if (lastState === undefined && old?.state?.terminated !== undefined && record.restartCount > 0) lastState = old.state;
  if (state.waiting !== undefined) state = { waiting: { reason: waitingReason } };
  const failure = facts.failures.get(container.name);
  if (state.terminated !== undefined && failure !== undefined && !facts.ending && shouldRestart(facts.pod, container, record)) {
    lastState = state;
    state = { waiting: { reason: failure.reason, message: failure.message } };
  } else if (state.waiting !== undefined && failure !== undefined)
    state = { waiting: { reason: failure.reason, message: failure.message } };
  const running = state.running !== undefined;
  return {
    name: container.name,
    state,
    lastState: lastState ?? {},
    ready: running ? facts.ready(container, record) : isInit && container.restartPolicy !== 'Always' && state.terminated?.exitCode === 0,
    restartCount: record.restartCount,
    image: record.image,
    imageID: record.imageRef,
    containerID: containerId(record.id),
    started: running && facts.started(container, record),
    ...(container.resources === undefined || Object.keys(container.resources).length === 0 || !running ? {} : runningResources(container)),
    ...mountStatus(container),
  };
}

function runningResources(container: Container): Pick<ContainerStatus, 'allocatedResources' | 'resources'> {
  const { requests, limits } = container.resources ?? {};
  return {
    ...(requests === undefined ? {} : { allocatedResources: requests }),
    resources: { ...(limits === undefined ? {} : { limits }), ...(requests === undefined ? {} : { requests }) },
  };
}

function mountStatus(container: Container): Pick<ContainerStatus, 'volumeMounts'> {
  const mounts = container.volumeMounts ?? [];
  if (mounts.length === 0) return {};
  return {
    volumeMounts: mounts.map((m) => ({
      name: m.name,
      mountPath: m.mountPath,
      ...(m.readOnly === true ? { readOnly: true, recursiveReadOnly: 'Disabled' } : {}),
    })),
  };
}

/** The statuses of one list of containers, in the order of the spec. */
export function containerStatuses(
  containers: readonly Container[],
  isInit: boolean,
  old: readonly ContainerStatus[],
  facts: ContainerFacts,
): readonly ContainerStatus[] {
  return containers.map((c) => {
    const before = old.find((o) => o.name === c.name);
    return statusOf(c, isInit, before, facts);
  });
}
