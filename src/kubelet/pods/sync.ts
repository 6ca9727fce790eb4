/** One pass over a pod that is to run: carries out what podActions asks for, step by step. */
import type { Container, EphemeralContainer, Pod } from '#kube/generated/core-v1.ts';
import { backoffMs } from '#lib/backoff.ts';
import { runtimeErrorText } from '../images/puller.ts';
import { VolumeError } from '../volumes/manager.ts';
import { type KillAction, type PodActions, podActions } from './actions.ts';
import type { PodContext } from './context.ts';
import { killContainer, killPod } from './kill.ts';
import { identityOf, podText } from './names.ts';
import { newestOf, type PodRuntime } from './runtime.ts';
import { createSandbox, StartError, startContainer } from './start.ts';
import type { PodState } from './worker.ts';

export interface SyncTools {
  readonly signal: AbortSignal;
  readonly refresh: () => Promise<PodRuntime>;
  readonly publish: () => void;
  readonly volumesChanged: () => void;
  readonly wake: () => void;
  readonly podIp: () => string;
}

export interface SyncResult {
  /** The pod has run its course: everything that is left is to be ended. */
  readonly done: boolean;
  readonly retryMs?: number;
}

/** More steps than a pod can have containers: the loop below ends long before. */
const maxSteps = 100;
const networkRetryMs = 500;
const sandboxRetryMs = 5000;
const volumeRetry = { baseMs: 500, maxMs: 122_000 };

class Retry extends Error {
  readonly afterMs: number;
  constructor(afterMs: number, cause: unknown) {
    super('retry', { cause });
    this.afterMs = afterMs;
  }
}

export async function syncPod(context: PodContext, state: PodState, pod: Pod, tools: SyncTools): Promise<SyncResult> {
  let retryMs: number | undefined;
  const later = (ms: number): void => {
    retryMs = Math.min(retryMs ?? ms, ms);
  };
  try {
    await setUpVolumes(context, state, pod, tools);
    for (let step = 0; step < maxSteps; step++) {
      tools.signal.throwIfAborted();
      const actions = podActions(pod, state.runtime, context.prober);
      if (actions.killPod && !actions.createSandbox) return { done: true };
      const progressed = await carryOut(context, state, pod, actions, tools, later);
      if (!progressed) break;
      await tools.refresh();
      context.prober.sync(pod, state.runtime, tools.podIp(), tools.wake);
      tools.publish();
    }
  } catch (error) {
    if (!(error instanceof Retry)) throw error;
    later(error.afterMs);
  }
  tools.publish();
  return { done: false, ...(retryMs === undefined ? {} : { retryMs: Math.max(1, retryMs) }) };
}

async function setUpVolumes(context: PodContext, state: PodState, pod: Pod, tools: SyncTools): Promise<void> {
  try {
    await context.volumes.setUp(pod, tools.volumesChanged);
    state.volumeFailures = 0;
  } catch (error) {
    if (!(error instanceof VolumeError)) throw error;
    context.event(pod, undefined, 'Warning', 'FailedMount', error.message);
    state.volumeFailures++;
    throw new Retry(backoffMs(state.volumeFailures, volumeRetry), error);
  }
}

/** True when something was done, so that the next step can be decided anew. */
async function carryOut(
  context: PodContext,
  state: PodState,
  pod: Pod,
  actions: PodActions,
  tools: SyncTools,
  later: (ms: number) => void,
): Promise<boolean> {
  if (actions.createSandbox) {
    await newSandbox(context, state, pod, actions, tools);
    return true;
  }
  if (actions.kill.length > 0) {
    await Promise.all(actions.kill.map((k) => endContainer(context, pod, k, tools)));
    await tools.refresh();
    tools.publish();
  }
  let progressed = false;
  for (const container of [...actions.startEphemeral, ...actions.startInit, ...actions.start]) {
    tools.signal.throwIfAborted();
    if (await tryStart(context, state, pod, container, tools, later)) progressed = true;
  }
  return progressed;
}

function endContainer(context: PodContext, pod: Pod, action: KillAction, tools: SyncTools): Promise<void> {
  const container = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].find((c) => c.name === action.container.name);
  const probe = action.reason === 'liveness' ? container?.livenessProbe : action.reason === 'startup' ? container?.startupProbe : undefined;
  const grace = probe?.terminationGracePeriodSeconds;
  return killContainer(context, pod, action.container, {
    message: action.message,
    podIp: tools.podIp(),
    signal: tools.signal,
    ...(grace === undefined ? {} : { graceSeconds: grace }),
  });
}

async function newSandbox(context: PodContext, state: PodState, pod: Pod, actions: PodActions, tools: SyncTools): Promise<void> {
  const why = pod.spec?.hostNetwork === true ? undefined : context.networkReady();
  if (why !== undefined) {
    context.event(pod, undefined, 'Warning', 'NetworkNotReady', `network is not ready: ${why}`);
    throw new Retry(networkRetryMs, why);
  }
  if (actions.killPod) {
    context.event(pod, undefined, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
    await killPod(context, pod, state.runtime, { podIp: tools.podIp(), signal: tools.signal });
  }
  try {
    await createSandbox(context, pod, actions.attempt);
  } catch (error) {
    context.event(pod, undefined, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${runtimeErrorText(error)}`);
    throw new Retry(sandboxRetryMs, error);
  }
}

/** True when the container was started. */
async function tryStart(
  context: PodContext,
  state: PodState,
  pod: Pod,
  container: Container | EphemeralContainer,
  tools: SyncTools,
  later: (ms: number) => void,
): Promise<boolean> {
  const record = newestOf(state.runtime, container.name);
  if (record !== undefined && record.state === 'exited') {
    const wait = state.backoff.next(container.name, record.finishedMs);
    if (wait !== undefined) {
      const text = podText(identityOf(pod));
      if (state.failures.get(container.name)?.reason !== 'CrashLoopBackOff') {
        context.event(pod, container, 'Warning', 'BackOff', `Back-off restarting failed container ${container.name} in pod ${text}`);
      }
      const message = `back-off ${goSeconds(wait.delayMs)} restarting failed container=${container.name} pod=${text}`;
      state.failures.set(container.name, { reason: 'CrashLoopBackOff', message });
      later(wait.leftMs);
      return false;
    }
  }
  const sandbox = state.runtime.sandboxes[0];
  if (sandbox === undefined) return false;
  try {
    await startContainer(context, { pod, container, sandbox, runtime: state.runtime, signal: tools.signal });
    state.failures.delete(container.name);
    return true;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    state.failures.set(container.name, error.failure);
    later(error.retryMs);
    return false;
  }
}

/** 10s, 1m20s, 5m0s. */
function goSeconds(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
