/** Making sandboxes and starting containers: pkg/kubelet/kuberuntime createPodSandbox and startContainer. */
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, EphemeralContainer, Pod, Secret } from '#kube/generated/core-v1.ts';
import { runtimeClasses } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { makeDir } from '../files.ts';
import { ImageError, runtimeErrorText } from '../images/puller.ts';
import { containerConfig, type ImageFacts, logPath } from './container-config.ts';
import type { StartFailure } from './container-status.ts';
import type { PodContext } from './context.ts';
import { podDns } from './dns.ts';
import { ContainerConfigError, containerEnv } from './env.ts';
import { runHook } from './hooks.ts';
import { killContainer } from './kill.ts';
import { containerMounts } from './mounts.ts';
import { identityOf, podDir, podLogDir } from './names.ts';
import { podCgroup } from './resources.ts';
import { containerOf, newestOf, type PodRuntime, type SandboxState } from './runtime.ts';
import { sandboxConfig } from './sandbox-config.ts';
import { serviceEnv } from './service-env.ts';

/** A container did not start; `failure` is what its status shows. */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly failure: StartFailure;
  readonly retryMs: number;

  constructor(reason: string, message: string, retryMs: number, cause?: unknown) {
    super(message, { cause });
    this.failure = { reason, message };
    this.retryMs = retryMs;
  }
}

const retryMs = 10_000;

async function configOfSandbox(context: PodContext, pod: Pod, attempt: number) {
  return sandboxConfig({
    pod,
    attempt,
    paths: context.paths,
    dns: podDns(pod, context.clusterDns, await context.hostDns()),
    clusterDomain: context.clusterDns.domain,
    cgroupParent: podCgroup(pod, context.cgroups.host.systemd).path,
  });
}

/** The handler that the pod's RuntimeClass names; '' is the runtime's default. */
async function runtimeHandler(context: PodContext, pod: Pod): Promise<string> {
  const name = pod.spec?.runtimeClassName;
  if (!name) return '';
  try {
    return (await context.client.get(runtimeClasses, { name })).handler;
  } catch (error) {
    if (isStatus(error, 'NotFound')) throw new Error(`RuntimeClass "${name}" not found`, { cause: error });
    throw error;
  }
}

/** Makes a pod's sandbox with its network. Rejects with the runtime's error. */
export async function createSandbox(context: PodContext, pod: Pod, attempt: number): Promise<SandboxState> {
  const identity = identityOf(pod);
  await Promise.all([
    context.imagesImported(),
    context.cgroups.create(podCgroup(pod, context.cgroups.host.systemd)),
    makeDir(podLogDir(context.paths, identity), 0o755),
    mkdir(podDir(context.paths, identity.uid), { recursive: true, mode: 0o750 }),
  ]);
  const { podSandboxId } = await context
    .cri()
    .runPodSandbox(
      { config: await configOfSandbox(context, pod, attempt), runtimeHandler: await runtimeHandler(context, pod) },
      { timeoutMs: 240_000, signal: context.signal },
    );
  context.own(podSandboxId, identity.uid);
  const { status } = await context.cri().podSandboxStatus({ podSandboxId });
  const ips = [status?.network?.ip ?? '', ...(status?.network?.additionalIps ?? []).map((i) => i.ip)].filter((ip) => ip !== '');
  return { id: podSandboxId, attempt, createdMs: context.clock.now(), ready: true, hostNetwork: pod.spec?.hostNetwork === true, ips };
}

async function pullSecrets(context: PodContext, pod: Pod): Promise<readonly Secret[]> {
  const namespace = pod.metadata.namespace ?? '';
  const found = await Promise.all((pod.spec?.imagePullSecrets ?? []).map((s) => context.secrets.get(namespace, s.name ?? '')));
  return found.filter((s) => s !== undefined);
}

export interface StartInput {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly sandbox: SandboxState;
  readonly runtime: PodRuntime;
  readonly signal: AbortSignal;
}

/** How often the container was started before: from its last record, or from the status in the API when records are gone. */
function nextRestartCount(context: PodContext, input: StartInput): number {
  const record = newestOf(input.runtime, input.container.name);
  if (record !== undefined) return record.restartCount + 1;
  const status = context.statuses.get(input.runtime.uid);
  const old = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])].find((s) => s.name === input.container.name);
  return old?.containerID === undefined ? 0 : old.restartCount + 1;
}

async function ensureImage(context: PodContext, input: StartInput): Promise<ImageFacts> {
  const { pod, container, signal } = input;
  try {
    return await context.images.ensure(
      pod,
      container as Container,
      () => pullSecrets(context, pod),
      (type, reason, message) => context.event(pod, container, type, reason, message),
      signal,
    );
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    context.event(pod, container, 'Warning', 'Failed', `Error: ${error.reason}`);
    throw new StartError(error.reason, error.message, error.retryMs, error);
  }
}

async function buildConfig(context: PodContext, input: StartInput, image: ImageFacts, restartCount: number) {
  const { pod, container, sandbox, runtime } = input;
  const ips = pod.spec?.hostNetwork === true ? context.node().ips : sandbox.ips;
  const services = serviceEnv(context.services(), runtime.namespace, pod.spec?.enableServiceLinks ?? true);
  const env = await containerEnv(
    { pod, container: container as Container, node: context.node(), podIps: ips, services },
    { configMap: context.configMaps.get, secret: context.secrets.get },
  );
  const mounts = await containerMounts({
    pod,
    container: container as Container,
    restartCount,
    podIps: ips,
    env,
    paths: context.paths,
    clusterDomain: context.clusterDns.domain,
    volumePath: (name) => context.volumes.hostPath(runtime.uid, name),
    exec: context.exec,
  });
  const target =
    'targetContainerName' in container && container.targetContainerName ? newestOf(runtime, container.targetContainerName) : undefined;
  return containerConfig({
    pod,
    container,
    image,
    restartCount,
    env,
    mounts,
    paths: context.paths,
    memory: { capacityBytes: context.memoryCapacity, cgroups: context.cgroups.host },
    ...(target === undefined ? {} : { targetId: target.id }),
  });
}

async function create(context: PodContext, input: StartInput, image: ImageFacts, restartCount: number): Promise<string> {
  const { pod, container, sandbox } = input;
  const fail = (reason: string, error: unknown): StartError => {
    const message = error instanceof ContainerConfigError ? error.message : runtimeErrorText(error);
    context.event(pod, container, 'Warning', 'Failed', `Error: ${message}`);
    return new StartError(reason, message, retryMs, error);
  };
  let config: Awaited<ReturnType<typeof buildConfig>>;
  try {
    config = await buildConfig(context, input, image, restartCount);
  } catch (error) {
    throw fail('CreateContainerConfigError', error);
  }
  await makeDir(join(podLogDir(context.paths, identityOf(pod)), container.name), 0o755);
  try {
    const sandboxOfPod = await configOfSandbox(context, pod, sandbox.attempt);
    const { containerId } = await context
      .cri()
      .createContainer({ podSandboxId: sandbox.id, config, sandboxConfig: sandboxOfPod }, { timeoutMs: 240_000, signal: context.signal });
    context.own(containerId, input.runtime.uid);
    context.event(pod, container, 'Normal', 'Created', 'Container created');
    return containerId;
  } catch (error) {
    throw fail('CreateContainerError', error);
  }
}

/** The name under which log collectors look for a container's log. */
const legacyLogName = (pod: Pod, container: string, id: string): string =>
  `${pod.metadata.name}_${pod.metadata.namespace}_${container}-${id}.log`;

async function linkLog(context: PodContext, pod: Pod, container: string, id: string, restartCount: number): Promise<void> {
  const link = join(context.paths.containerLogs, legacyLogName(pod, container, id));
  await mkdir(context.paths.containerLogs, { recursive: true });
  await rm(link, { force: true });
  await symlink(join(podLogDir(context.paths, identityOf(pod)), logPath(container, restartCount)), link);
}

/** Image, configuration, creation, start, postStart. Gives the container's id; rejects with StartError. */
export async function startContainer(context: PodContext, input: StartInput): Promise<string> {
  const { pod, container, signal } = input;
  const image = await ensureImage(context, input);
  signal.throwIfAborted();
  const restartCount = nextRestartCount(context, input);
  const id = await create(context, input, image, restartCount);
  try {
    await context.cri().startContainer({ containerId: id }, { timeoutMs: 240_000, signal: context.signal });
  } catch (error) {
    const message = runtimeErrorText(error);
    context.event(pod, container, 'Warning', 'Failed', `Error: ${message}`);
    throw new StartError('RunContainerError', message, retryMs, error);
  }
  context.event(pod, container, 'Normal', 'Started', 'Container started');
  await linkLog(context, pod, container.name, id, restartCount).catch((error: unknown) =>
    context.log.warn('a log cannot be linked', { error }),
  );
  await postStart(context, input, id);
  return id;
}

async function postStart(context: PodContext, input: StartInput, id: string): Promise<void> {
  const { pod, container, sandbox, signal } = input;
  const hook = container.lifecycle?.postStart;
  if (hook === undefined) return;
  const podIp = (pod.spec?.hostNetwork === true ? context.node().ips : sandbox.ips)[0] ?? '';
  try {
    await runHook(
      hook,
      { container: container as Container, containerId: id, podIp },
      { cri: context.cri(), clock: context.clock, signal },
    );
  } catch (error) {
    if (signal.aborted) throw error;
    const message = error instanceof Error ? error.message : String(error);
    context.event(pod, container, 'Warning', 'FailedPostStartHook', 'PostStartHook failed');
    context.log.warn('a postStart hook failed', { pod: pod.metadata.name, container: container.name, error });
    const { status } = await context.cri().containerStatus({ containerId: id });
    if (status !== null) await killContainer(context, pod, containerOf(status), { message: 'FailedPostStartHook', podIp });
    throw new StartError('PostStartHookError', message, retryMs, error);
  }
}
