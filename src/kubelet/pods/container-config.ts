/** What the runtime is told about one container: pkg/kubelet/kuberuntime/kuberuntime_container.go. Pure. */
import { join } from 'node:path';
import type { Container, EphemeralContainer, Pod, SecurityContext } from '#kube/generated/core-v1.ts';
import type { Init } from '../cri/client.ts';
import type { ContainerConfig, Device, LinuxContainerSecurityContext, Mount } from '../cri/generated/cri.ts';
import { ContainerConfigError } from './env.ts';
import { expand } from './expand.ts';
import { annotations, containerHash, identityOf, type KubeletPaths, labels, podDir } from './names.ts';
import { containerResources, type NodeMemory } from './resources.ts';
import { namespaceOptions, seccompProfile } from './sandbox-config.ts';

export interface ImageFacts {
  /** What the runtime is to run: the id of a present image. */
  readonly ref: string;
  readonly uid: number | undefined;
  /** A user by name, which cannot be proven not to be root. */
  readonly username: string;
}

export interface ContainerInput {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly image: ImageFacts;
  readonly restartCount: number;
  readonly env: ReadonlyMap<string, string>;
  readonly mounts: readonly Init<Mount>[];
  readonly devices?: readonly Init<Device>[];
  readonly paths: KubeletPaths;
  readonly memory: NodeMemory;
  /** For debug containers: the container whose processes they see. */
  readonly targetId?: string;
  readonly sharedPid?: boolean;
}

const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** The container's settings over the pod's. */
function effectiveSecurity(pod: Pod, container: Container): SecurityContext {
  const { runAsUser, runAsGroup, runAsNonRoot, seccompProfile: seccomp } = pod.spec?.securityContext ?? {};
  return {
    ...(runAsUser === undefined ? {} : { runAsUser }),
    ...(runAsGroup === undefined ? {} : { runAsGroup }),
    ...(runAsNonRoot === undefined ? {} : { runAsNonRoot }),
    ...(seccomp === undefined ? {} : { seccompProfile: seccomp }),
    ...container.securityContext,
  };
}

/** Throws ContainerConfigError when the container would run as root although it must not. */
function checkNonRoot(pod: Pod, container: Container, security: SecurityContext, image: ImageFacts): void {
  if (security.runAsNonRoot !== true) return;
  const where = `(pod: "${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})", container: ${container.name})`;
  if (security.runAsUser !== undefined) {
    if (security.runAsUser === 0) throw new ContainerConfigError(`container's runAsUser breaks non-root policy ${where}`);
    return;
  }
  if (image.uid === 0 || (image.uid === undefined && image.username === ''))
    throw new ContainerConfigError(`container has runAsNonRoot and image will run as root ${where}`);
  if (image.uid === undefined) {
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root ${where}`,
    );
  }
}

function securityContext(input: ContainerInput): Init<LinuxContainerSecurityContext> {
  const { pod, container, image } = input;
  const security = effectiveSecurity(pod, container as Container);
  checkNonRoot(pod, container as Container, security, image);
  const podSecurity = pod.spec?.securityContext ?? {};
  const groups = [...(podSecurity.supplementalGroups ?? []), ...(podSecurity.fsGroup === undefined ? [] : [podSecurity.fsGroup])];
  const privileged = security.privileged === true;
  const user =
    security.runAsUser !== undefined
      ? { runAsUser: { value: security.runAsUser } }
      : image.uid !== undefined
        ? { runAsUser: { value: image.uid } }
        : { runAsUsername: image.username };
  const unmasked = security.procMount === 'Unmasked' || privileged;
  const profile = seccompProfile(security.seccompProfile, join(input.paths.root, 'seccomp'));
  const target = input.targetId === undefined ? {} : { pid: 'TARGET' as const, targetId: input.targetId };
  return {
    capabilities: {
      addCapabilities: security.capabilities?.add ?? [],
      dropCapabilities: security.capabilities?.drop ?? [],
    },
    privileged,
    namespaceOptions: { ...namespaceOptions(pod), ...target },
    ...user,
    ...(security.runAsGroup === undefined ? {} : { runAsGroup: { value: security.runAsGroup } }),
    readonlyRootfs: security.readOnlyRootFilesystem ?? false,
    supplementalGroups: groups,
    noNewPrivs: security.allowPrivilegeEscalation === false,
    maskedPaths: unmasked ? [] : maskedPaths,
    readonlyPaths: unmasked ? [] : readonlyPaths,
    seccomp: privileged ? { profileType: 'Unconfined' } : profile,
  };
}

/** The folder that holds one file for each run of the container, below the pod's log folder. */
export const logPath = (name: string, restartCount: number): string => `${name}/${restartCount}.log`;

/** The file into which a run of the container writes its last words. */
export const terminationFile = (paths: KubeletPaths, podUid: string, name: string, restartCount: number): string =>
  join(podDir(paths, podUid), 'containers', name, String(restartCount));

function containerAnnotations(input: ContainerInput): Record<string, string> {
  const { pod, container } = input;
  const grace = pod.spec?.terminationGracePeriodSeconds;
  const deletion = pod.metadata.deletionGracePeriodSeconds;
  const preStop = container.lifecycle?.preStop;
  return {
    [annotations.hash]: containerHash(container),
    [annotations.restartCount]: String(input.restartCount),
    [annotations.terminationMessagePath]: container.terminationMessagePath ?? '/dev/termination-log',
    [annotations.terminationMessagePolicy]: container.terminationMessagePolicy ?? 'File',
    ...(grace === undefined ? {} : { [annotations.podTerminationGracePeriod]: String(grace) }),
    ...(deletion === undefined ? {} : { [annotations.podDeletionGracePeriod]: String(deletion) }),
    ...(preStop === undefined ? {} : { [annotations.preStopHandler]: JSON.stringify(preStop) }),
    ...(container.ports === undefined ? {} : { [annotations.ports]: JSON.stringify(container.ports) }),
  };
}

/** Throws ContainerConfigError. */
export function containerConfig(input: ContainerInput): Init<ContainerConfig> {
  const { pod, container, env } = input;
  const identity = identityOf(pod);
  const lookup = (name: string): string | undefined => env.get(name);
  return {
    metadata: { name: container.name, attempt: input.restartCount },
    image: { image: input.image.ref, userSpecifiedImage: container.image ?? '' },
    command: (container.command ?? []).map((c) => expand(c, lookup)),
    args: (container.args ?? []).map((a) => expand(a, lookup)),
    workingDir: container.workingDir ?? '',
    envs: [...env].map(([key, value]) => ({ key, value })),
    mounts: input.mounts,
    devices: input.devices ?? [],
    labels: {
      [labels.containerName]: container.name,
      [labels.podName]: identity.name,
      [labels.podNamespace]: identity.namespace,
      [labels.podUid]: identity.uid,
    },
    annotations: containerAnnotations(input),
    logPath: logPath(container.name, input.restartCount),
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    linux: {
      resources: containerResources(pod, container as Container, input.memory),
      securityContext: securityContext(input),
    },
  };
}
