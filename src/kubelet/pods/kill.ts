/** Ending containers and whole pods in good order: pkg/kubelet/kuberuntime killContainer and killPodWithSyncResult. */
import type { Container, LifecycleHandler, Pod } from '#kube/generated/core-v1.ts';
import { isSidecar } from './actions.ts';
import type { PodContext } from './context.ts';
import { runHook } from './hooks.ts';
import type { ContainerRecord, PodRuntime } from './runtime.ts';

const minGraceSeconds = 2;

export interface KillOptions {
  readonly message: string;
  /** Instead of the pod's own. */
  readonly graceSeconds?: number;
  readonly podIp: string;
  /** Ends waiting (preStop, grace) early: the caller kills again with less grace. */
  readonly signal?: AbortSignal;
}

const specOf = (pod: Pod | undefined, name: string): Container | undefined =>
  [...(pod?.spec?.containers ?? []), ...(pod?.spec?.initContainers ?? []), ...(pod?.spec?.ephemeralContainers ?? [])].find(
    (c) => c.name === name,
  );

function graceOf(pod: Pod | undefined, record: ContainerRecord): number {
  return (
    pod?.metadata.deletionGracePeriodSeconds ?? pod?.spec?.terminationGracePeriodSeconds ?? record.gracePeriodSeconds ?? minGraceSeconds
  );
}

/** preStop, then the stop signal, then after the grace period SIGKILL. `pod` is undefined for pods that only the runtime knows. */
export async function killContainer(
  context: PodContext,
  pod: Pod | undefined,
  record: ContainerRecord,
  options: KillOptions,
): Promise<void> {
  const container = specOf(pod, record.name);
  let grace = options.graceSeconds ?? graceOf(pod, record);
  if (pod !== undefined && record.state === 'running') context.event(pod, { name: record.name }, 'Normal', 'Killing', options.message);
  const preStop = container?.lifecycle?.preStop;
  const began = context.clock.monotonic();
  if (pod !== undefined && container !== undefined && preStop !== undefined && grace > 0 && record.state === 'running') {
    await runPreStop(context, pod, container, record, preStop, grace, options);
    grace -= Math.floor((context.clock.monotonic() - began) / 1000);
  }
  if (options.graceSeconds === undefined) grace = Math.max(grace, minGraceSeconds);
  const timeout = Math.max(0, grace);
  await context
    .cri()
    .stopContainer(
      { containerId: record.id, timeout },
      { timeoutMs: (timeout + 120) * 1000, ...(options.signal === undefined ? {} : { signal: options.signal }) },
    );
}

async function runPreStop(
  context: PodContext,
  pod: Pod,
  container: Container,
  record: ContainerRecord,
  hook: LifecycleHandler,
  grace: number,
  options: KillOptions,
): Promise<void> {
  const { clock } = context;
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  options.signal?.addEventListener('abort', stop, { once: true });
  const timer = clock.after(grace * 1000, stop);
  const target = { container, containerId: record.id, podIp: options.podIp };
  const ended = new Promise<void>((resolve) => abort.signal.addEventListener('abort', () => resolve(), { once: true }));
  try {
    const run = runHook(hook, target, { cri: context.cri(), clock, signal: abort.signal, timeoutMs: grace * 1000 });
    run.catch(() => undefined);
    await Promise.race([run, ended]);
  } catch (error) {
    if (!abort.signal.aborted) {
      context.log.warn('a preStop hook failed', { pod: pod.metadata.name, container: container.name, error });
      context.event(pod, container, 'Warning', 'FailedPreStopHook', 'PreStopHook failed');
    }
  } finally {
    timer.cancel();
    options.signal?.removeEventListener('abort', stop);
  }
}

/** Ends every running container (sidecars last, in reverse order), then the sandboxes. */
export async function killPod(
  context: PodContext,
  pod: Pod | undefined,
  runtime: PodRuntime,
  options: Omit<KillOptions, 'message'>,
): Promise<void> {
  const live = runtime.containers.filter((c) => c.state === 'running' || c.state === 'unknown');
  const sidecarNames = (pod?.spec?.initContainers ?? []).filter(isSidecar).map((c) => c.name);
  const began = context.clock.monotonic();
  const kill = (record: ContainerRecord, graceSeconds: number | undefined): Promise<void> =>
    killContainer(context, pod, record, {
      ...options,
      message: `Stopping container ${record.name}`,
      ...(graceSeconds === undefined ? {} : { graceSeconds }),
    });
  await Promise.all(live.filter((c) => !sidecarNames.includes(c.name)).map((c) => kill(c, options.graceSeconds)));
  for (const name of sidecarNames.reverse()) {
    const record = live.find((c) => c.name === name);
    if (record === undefined) continue;
    const full = options.graceSeconds ?? graceOf(pod, record);
    const left = full - Math.floor((context.clock.monotonic() - began) / 1000);
    await kill(record, Math.max(options.graceSeconds === undefined ? minGraceSeconds : 0, left));
  }
  await Promise.all(
    runtime.sandboxes.map((s) =>
      context
        .cri()
        .stopPodSandbox(
          { podSandboxId: s.id },
          { timeoutMs: 120_000, ...(options.signal === undefined ? {} : { signal: options.signal }) },
        ),
    ),
  );
}
