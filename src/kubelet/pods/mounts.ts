/** The mounts of one container: pkg/kubelet/kubelet_pods.go makeMounts. */
import { lstat, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Container, Pod, VolumeMount } from '#kube/generated/core-v1.ts';
import type { Exec } from '#platform/exec.ts';
import type { Init } from '../cri/client.ts';
import type { Mount, MountPropagation } from '../cri/generated/cri.ts';
import { makeDir, writeWithMode } from '../files.ts';
import { bindSubPath } from '../volumes/subpath.ts';
import { terminationFile } from './container-config.ts';
import { ContainerConfigError } from './env.ts';
import { expand } from './expand.ts';
import { hostNetworkHosts, podHosts } from './hosts.ts';
import { type KubeletPaths, podDir } from './names.ts';

export interface MountInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly restartCount: number;
  readonly podIps: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  readonly paths: KubeletPaths;
  readonly clusterDomain: string;
  readonly volumePath: (name: string) => string | undefined;
  readonly exec: Exec;
}

const propagations: Readonly<Record<string, MountPropagation>> = {
  None: 'PROPAGATION_PRIVATE',
  HostToContainer: 'PROPAGATION_HOST_TO_CONTAINER',
  Bidirectional: 'PROPAGATION_BIDIRECTIONAL',
};

function subPathOf(mount: VolumeMount, env: ReadonlyMap<string, string>): string {
  if (!mount.subPathExpr) return mount.subPath ?? '';
  let missing = '';
  const path = expand(mount.subPathExpr, (name) => {
    const value = env.get(name);
    if (value === undefined) missing = name;
    return value;
  });
  if (missing !== '') throw new ContainerConfigError(`missing value for "${missing}"`);
  if (path.startsWith('/')) throw new ContainerConfigError(`error SubPath \`${path}\` must not be an absolute path`);
  if (path.split('/').includes('..')) throw new ContainerConfigError(`unable to provision SubPath \`${path}\`: must not contain '..'`);
  return path;
}

async function volumeMount(mount: VolumeMount, index: number, input: MountInput): Promise<Init<Mount>> {
  const volume = input.volumePath(mount.name);
  if (volume === undefined)
    throw new ContainerConfigError(`cannot find volume "${mount.name}" to mount into container "${input.container.name}"`);
  const subPath = subPathOf(mount, input.env);
  let hostPath = volume;
  if (subPath !== '') {
    const uid = input.pod.metadata.uid ?? '';
    hostPath = join(podDir(input.paths, uid), 'volume-subpaths', mount.name, input.container.name, String(index));
    try {
      await bindSubPath(volume, subPath, hostPath, input.exec);
    } catch (error) {
      throw new ContainerConfigError(`failed to prepare subPath for volumeMount "${mount.name}" of container "${input.container.name}"`, {
        cause: error,
      });
    }
  } else if (
    await lstat(hostPath).then(
      () => false,
      () => true,
    )
  ) {
    // What a hostPath without a type names is made as a folder.
    await makeDir(hostPath, 0o755);
  }
  return {
    containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`,
    hostPath,
    readonly: mount.readOnly ?? false,
    propagation: propagations[mount.mountPropagation ?? 'None'] ?? 'PROPAGATION_PRIVATE',
  };
}

/** The pod's own /etc/hosts, unless the container brings one. */
async function hostsMount(input: MountInput): Promise<readonly Init<Mount>[]> {
  const { pod, paths } = input;
  if ((input.container.volumeMounts ?? []).some((m) => m.mountPath === '/etc/hosts')) return [];
  if (input.podIps.length === 0 && pod.spec?.hostNetwork !== true) return [];
  const file = join(podDir(paths, pod.metadata.uid ?? ''), 'etc-hosts');
  const content =
    pod.spec?.hostNetwork === true
      ? hostNetworkHosts(await readFile(paths.hosts, 'utf8').catch(() => ''), pod)
      : podHosts(pod, input.podIps, input.clusterDomain);
  await mkdir(dirname(file), { recursive: true });
  await writeWithMode(file, content, 0o644);
  return [{ containerPath: '/etc/hosts', hostPath: file, readonly: false }];
}

async function terminationMount(input: MountInput): Promise<Init<Mount>> {
  const file = terminationFile(input.paths, input.pod.metadata.uid ?? '', input.container.name, input.restartCount);
  await mkdir(dirname(file), { recursive: true });
  // Any user of the container may write its last words.
  await writeWithMode(file, '', 0o666);
  return { containerPath: input.container.terminationMessagePath ?? '/dev/termination-log', hostPath: file, readonly: false };
}

/** Prepares and lists all mounts. Throws ContainerConfigError. */
export async function containerMounts(input: MountInput): Promise<readonly Init<Mount>[]> {
  const mounts: Init<Mount>[] = [];
  for (const [i, mount] of (input.container.volumeMounts ?? []).entries()) mounts.push(await volumeMount(mount, i, input));
  return [...mounts, ...(await hostsMount(input)), await terminationMount(input)];
}
