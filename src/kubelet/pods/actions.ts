/**
 * What to do next for a pod, from what it asks for and what the runtime shows. Pure. Behaviour of
 * pkg/kubelet/kuberuntime computePodActions.
 */
import type { Container, EphemeralContainer, Pod } from '#kube/generated/core-v1.ts';
import { containerHash } from './names.ts';
import { type ContainerRecord, newestOf, type PodRuntime } from './runtime.ts';

/** What probes and hooks have found out about running containers. */
export interface Health {
  /** Why a running container must be ended: its liveness or startup probe failed. */
  readonly failed: (containerId: string) => 'liveness' | 'startup' | undefined;
  /** The startup probe succeeded, or there is none and the container runs. */
  readonly started: (container: Container, record: Pick<ContainerRecord, 'id'>) => boolean;
}

export interface KillAction {
  readonly container: ContainerRecord;
  readonly reason: 'hash' | 'liveness' | 'startup' | 'unknown' | 'finished';
  readonly message: string;
}

export interface PodActions {
  /** Everything of the pod must be ended: its sandbox is broken, or it is done. */
  readonly killPod: boolean;
  readonly createSandbox: boolean;
  /** Number of the new sandbox. */
  readonly attempt: number;
  readonly kill: readonly KillAction[];
  readonly startInit: readonly Container[];
  readonly start: readonly Container[];
  readonly startEphemeral: readonly EphemeralContainer[];
}

export const isSidecar = (init: Container): boolean => init.restartPolicy === 'Always';

/** Whether a container that is not running is to be started (again): pod policy, and rules of the container itself. */
export function shouldRestart(pod: Pod, container: Container, record: ContainerRecord | undefined): boolean {
  if (record === undefined) return true;
  if (record.state === 'running') return false;
  if (record.state === 'unknown' || record.state === 'created') return true;
  for (const rule of container.restartPolicyRules ?? []) {
    const values = rule.exitCodes?.values ?? [];
    const hit = rule.exitCodes?.operator === 'NotIn' ? !values.includes(record.exitCode) : values.includes(record.exitCode);
    if (rule.exitCodes !== undefined && hit && rule.action === 'Restart') return true;
  }
  const policy = container.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always';
  if (policy === 'Never') return false;
  return policy === 'Always' || record.exitCode !== 0;
}

function sandboxChange(pod: Pod, runtime: PodRuntime): { readonly create: boolean; readonly attempt: number } {
  const newest = runtime.sandboxes[0];
  if (newest === undefined) return { create: true, attempt: 0 };
  const ready = runtime.sandboxes.filter((s) => s.ready).length;
  const hostNetwork = pod.spec?.hostNetwork ?? false;
  const broken = ready !== 1 || !newest.ready || newest.hostNetwork !== hostNetwork || (!hostNetwork && newest.ips.length === 0);
  return { create: broken, attempt: newest.attempt + 1 };
}

const nothing = { killPod: false, createSandbox: false, attempt: 0, kill: [], startInit: [], start: [], startEphemeral: [] };

/** With a new sandbox everything starts over, except what has finished for good. */
function actionsForNewSandbox(pod: Pod, runtime: PodRuntime, attempt: number): PodActions {
  const { initContainers = [], containers = [], restartPolicy = 'Always' } = pod.spec ?? {};
  const killPod = runtime.sandboxes.length > 0;
  const base: PodActions = { ...nothing, killPod, createSandbox: true, attempt };
  const ran = runtime.containers.length > 0;
  if (attempt > 0 && ran && restartPolicy === 'Never' && !containers.some((c) => c.restartPolicy === 'Always'))
    return { ...base, createSandbox: false };
  const unfinished = containers.filter((c) => !(restartPolicy === 'OnFailure' && succeeded(newestOf(runtime, c.name))));
  if (unfinished.length === 0 && ran) return { ...base, createSandbox: false };
  const first = initContainers[0];
  if (first !== undefined) return { ...base, startInit: [first] };
  return { ...base, start: unfinished };
}

const succeeded = (record: ContainerRecord | undefined): boolean => record?.state === 'exited' && record.exitCode === 0;

interface InitResult {
  readonly start: readonly Container[];
  readonly kill: readonly KillAction[];
  /** Every init container has done its part: the others may run. */
  readonly done: boolean;
  /** An init container failed and is not to be retried. */
  readonly failed: boolean;
}

function initActions(pod: Pod, runtime: PodRuntime, health: Health): InitResult {
  const inits = pod.spec?.initContainers ?? [];
  const restartPolicy = pod.spec?.restartPolicy ?? 'Always';
  const start: Container[] = [];
  const kill: KillAction[] = [];
  // Once the main containers have been made, plain init containers are past, whatever became of their records.
  const mainMade = (pod.spec?.containers ?? []).some((c) => newestOf(runtime, c.name) !== undefined);
  let done = true;
  for (const init of inits) {
    const record = newestOf(runtime, init.name);
    if (!isSidecar(init)) {
      if (mainMade || succeeded(record)) continue;
      if (record?.state === 'running') return { start, kill, done: false, failed: false };
      if (record?.state === 'exited' && restartPolicy === 'Never' && !shouldRestart(pod, init, record))
        return { start, kill, done: false, failed: true };
      return { start: [...start, init], kill, done: false, failed: false };
    }
    if (record?.state === 'running') {
      const reason = record.hash !== containerHash(init) ? 'hash' : health.failed(record.id);
      if (reason !== undefined) {
        kill.push({ container: record, reason, message: killMessage(init, reason) });
        start.push(init);
      }
      if (!mainMade && !health.started(init, record)) return { start, kill, done: false, failed: false };
      continue;
    }
    start.push(init);
    // The next ones wait until this one has started.
    if (!mainMade) {
      done = false;
      break;
    }
  }
  return { start, kill, done, failed: false };
}

const probeNames = { liveness: 'liveness probe', startup: 'startup probe' } as const;
function killMessage(container: Container, reason: 'hash' | 'liveness' | 'startup'): string {
  const name = container.name;
  return reason === 'hash'
    ? `Container ${name} definition changed, will be restarted`
    : `Container ${name} failed ${probeNames[reason]}, will be restarted`;
}

function mainActions(pod: Pod, runtime: PodRuntime, health: Health): { start: Container[]; kill: KillAction[]; kept: number } {
  const start: Container[] = [];
  const kill: KillAction[] = [];
  let kept = 0;
  for (const container of pod.spec?.containers ?? []) {
    const record = newestOf(runtime, container.name);
    if (record === undefined || record.state !== 'running') {
      if (!shouldRestart(pod, container, record)) continue;
      if (record?.state === 'unknown')
        kill.push({
          container: record,
          reason: 'unknown',
          message: `Container ${container.name} is in unknown state, try killing it before restart`,
        });
      start.push(container);
      continue;
    }
    const reason = record.hash !== '' && record.hash !== containerHash(container) ? 'hash' : health.failed(record.id);
    if (reason === undefined) {
      kept++;
      continue;
    }
    const restart = reason === 'hash' || (container.restartPolicy ?? pod.spec?.restartPolicy) !== 'Never';
    kill.push({
      container: record,
      reason,
      message: restart ? killMessage(container, reason) : `Container ${container.name} failed ${probeNames[reason]}`,
    });
    if (restart) start.push(container);
    else kept++;
  }
  return { start, kill, kept };
}

/** The next step; an empty result means that the pod is as it should be. */
export function podActions(pod: Pod, runtime: PodRuntime, health: Health): PodActions {
  const sandbox = sandboxChange(pod, runtime);
  if (sandbox.create) return actionsForNewSandbox(pod, runtime, sandbox.attempt);
  const startEphemeral = (pod.spec?.ephemeralContainers ?? []).filter((c) => newestOf(runtime, c.name) === undefined);
  const init = initActions(pod, runtime, health);
  if (init.failed) return { ...nothing, killPod: true };
  if (!init.done) return { ...nothing, kill: init.kill, startInit: init.start, startEphemeral };
  const main = mainActions(pod, runtime, health);
  if (main.kept === 0 && main.start.length === 0) return { ...nothing, killPod: true, kill: main.kill };
  return { ...nothing, kill: [...init.kill, ...main.kill], startInit: init.start, start: main.start, startEphemeral };
}
