/** The volumes of the pods of this node: set up before their containers start, kept up to date, taken down after. */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeClient } from '#client/contract.ts';
import type { ConfigMap, Pod, Secret, Volume } from '#kube/generated/core-v1.ts';
import { bytesValue } from '#kube/quantity.ts';
import { persistentVolumeClaims, persistentVolumes } from '#kube/refs.ts';
import type { Clock, Timer } from '#platform/clock.ts';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import type { NodeFacts } from '../pods/field-ref.ts';
import { type KubeletPaths, podDir, volumesDir } from '../pods/names.ts';
import { type Payload, writeAtomically } from './atomic-writer.ts';
import { checkHostPath } from './host-path.ts';
import { isMounted, mountTmpfs, unmountBelow } from './mounts.ts';
import type { FollowedObjects } from './objects.ts';
import { setGroup } from './ownership.ts';
import { configMapFiles, downwardFiles, type PayloadContext, projectedFiles, secretFiles } from './payload.ts';
import type { TokenManager } from './tokens.ts';

export interface VolumeDeps {
  readonly client: KubeClient;
  readonly paths: KubeletPaths;
  readonly configMaps: FollowedObjects<ConfigMap>;
  readonly secrets: FollowedObjects<Secret>;
  readonly tokens: TokenManager;
  readonly node: () => NodeFacts;
  readonly clock: Clock;
  readonly exec: Exec;
  readonly log: Logger;
}

/** One volume could not be set up; the message names it as upstream's event does. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
}

export interface VolumeManager {
  /** Makes all volumes of the pod ready. `changed` is called when something a volume shows has changed. Throws VolumeError. */
  readonly setUp: (pod: Pod, changed: () => void) => Promise<void>;
  /** Where a volume is on the node. Only after setUp. */
  readonly hostPath: (podUid: string, volume: string) => string | undefined;
  /** Brings what the volumes show up to date with the API. Failures are logged; the old content stays. */
  readonly refresh: (pod: Pod) => Promise<void>;
  /** Unmounts and removes everything of the pod. */
  readonly tearDown: (podUid: string) => Promise<void>;
  readonly close: () => void;
}

interface Mounted {
  readonly paths: Map<string, string>;
  readonly unfollow: (() => void)[];
  following: boolean;
  changed: () => void;
  timer: Timer | undefined;
}

/** Names of the objects that a volume shows. */
function shownObjects(volume: Volume): { readonly configMaps: readonly string[]; readonly secrets: readonly string[] } {
  const parts = volume.projected?.sources ?? [];
  const names = (list: readonly (string | undefined)[]): readonly string[] => list.flatMap((n) => (n === undefined || n === '' ? [] : [n]));
  return {
    configMaps: names([volume.configMap?.name, ...parts.map((p) => p.configMap?.name)]),
    secrets: names([volume.secret?.secretName, ...parts.map((p) => p.secret?.name)]),
  };
}

const isProjection = (v: Volume): boolean =>
  v.configMap !== undefined || v.secret !== undefined || v.downwardAPI !== undefined || v.projected !== undefined;

export function createVolumeManager(deps: VolumeDeps): VolumeManager {
  const { paths } = deps;
  const mounted = new Map<string, Mounted>();
  /** Secrets and tokens are never written to a disk. */
  const memoryRoot = join(paths.root, 'memory');

  const entryOf = (uid: string): Mounted => {
    const entry = mounted.get(uid) ?? {
      paths: new Map<string, string>(),
      unfollow: [],
      following: false,
      changed: () => undefined,
      timer: undefined,
    };
    mounted.set(uid, entry);
    return entry;
  };

  const contextOf = (pod: Pod): PayloadContext => ({
    pod,
    node: deps.node(),
    podIps: [],
    sources: { configMap: deps.configMaps.get, secret: deps.secrets.get, token: deps.tokens.get },
  });

  async function payloadOf(volume: Volume, pod: Pod): Promise<Payload> {
    const context = contextOf(pod);
    if (volume.configMap !== undefined) return configMapFiles(volume.configMap, volume.configMap.defaultMode ?? 0o644, context);
    if (volume.secret !== undefined) {
      const { secretName, ...rest } = volume.secret;
      return secretFiles(
        { ...rest, ...(secretName === undefined ? {} : { name: secretName }) },
        volume.secret.defaultMode ?? 0o644,
        context,
      );
    }
    if (volume.downwardAPI !== undefined)
      return downwardFiles(volume.downwardAPI.items ?? [], volume.downwardAPI.defaultMode ?? 0o644, context);
    return projectedFiles(volume.projected ?? {}, context);
  }

  function projectionDir(volume: Volume, uid: string): string {
    const plugin = volume.configMap ? 'configmap' : volume.secret ? 'secret' : volume.downwardAPI ? 'downward-api' : 'projected';
    const root = volume.configMap || volume.downwardAPI ? volumesDir(paths, uid) : join(memoryRoot, uid);
    return join(root, `kubernetes.io~${plugin}`, volume.name);
  }

  const ownershipOf = (pod: Pod): { readonly fsGroup?: number } => {
    const fsGroup = pod.spec?.securityContext?.fsGroup;
    return fsGroup === undefined ? {} : { fsGroup };
  };

  async function project(volume: Volume, pod: Pod): Promise<string> {
    const dir = projectionDir(volume, pod.metadata.uid ?? '');
    const payload = await payloadOf(volume, pod);
    if (!dir.startsWith(volumesDir(paths, pod.metadata.uid ?? ''))) await ensureMemoryRoot();
    await mkdir(dir, { recursive: true });
    await writeAtomically(dir, payload, ownershipOf(pod));
    return dir;
  }

  let memoryReady: Promise<void> | undefined;
  function ensureMemoryRoot(): Promise<void> {
    memoryReady ??= (async () => {
      await mkdir(memoryRoot, { recursive: true, mode: 0o755 });
      if (!(await isMounted(memoryRoot))) await mountTmpfs(memoryRoot, ['mode=0755', 'nosuid', 'nodev'], deps.exec);
    })().catch((error: unknown) => {
      memoryReady = undefined;
      throw error;
    });
    return memoryReady;
  }

  async function emptyDir(volume: Volume, pod: Pod): Promise<string> {
    const dir = join(volumesDir(paths, pod.metadata.uid ?? ''), 'kubernetes.io~empty-dir', volume.name);
    const source = volume.emptyDir ?? {};
    await mkdir(dir, { recursive: true });
    if (source.medium === 'Memory' && !(await isMounted(dir))) {
      const size = source.sizeLimit === undefined ? undefined : bytesValue(source.sizeLimit);
      await mountTmpfs(dir, ['mode=0777', ...(size ? [`size=${size}`] : [])], deps.exec);
    } else if (source.medium !== undefined && source.medium !== '' && source.medium !== 'Memory') {
      throw new Error(`storage medium "${source.medium}" is not supported`);
    }
    await chmod(dir, 0o777);
    await applyGroup(dir, pod, false);
    return dir;
  }

  async function applyGroup(dir: string, pod: Pod, readOnly: boolean): Promise<void> {
    const { fsGroup, fsGroupChangePolicy } = pod.spec?.securityContext ?? {};
    if (fsGroup !== undefined && !readOnly) await setGroup(dir, fsGroup, fsGroupChangePolicy);
  }

  async function claim(name: string, pod: Pod): Promise<string> {
    const namespace = pod.metadata.namespace ?? '';
    const pvc = await deps.client.get(persistentVolumeClaims, { namespace, name });
    const volumeName = pvc.spec?.volumeName ?? '';
    if (volumeName === '' || pvc.status?.phase !== 'Bound') throw new Error(`persistentvolumeclaim "${name}" is not bound`);
    const pv = await deps.client.get(persistentVolumes, { name: volumeName });
    const path = pv.spec?.local?.path ?? pv.spec?.hostPath?.path;
    if (path === undefined) throw new Error(`persistentvolume "${volumeName}" is of a kind that this node cannot mount`);
    if (pv.spec?.hostPath !== undefined) await checkHostPath(pv.spec.hostPath);
    if (pv.spec?.local !== undefined) await applyGroup(path, pod, false);
    return path;
  }

  async function setUpOne(volume: Volume, pod: Pod): Promise<string> {
    if (isProjection(volume)) return project(volume, pod);
    if (volume.hostPath !== undefined) {
      await checkHostPath(volume.hostPath);
      return volume.hostPath.path;
    }
    if (volume.persistentVolumeClaim !== undefined) return claim(volume.persistentVolumeClaim.claimName, pod);
    if (volume.ephemeral !== undefined) return claim(`${pod.metadata.name}-${volume.name}`, pod);
    if (volume.emptyDir !== undefined) return emptyDir(volume, pod);
    throw new Error('this kind of volume is not supported');
  }

  /** Starts watching what the volumes show, before the first reading, so that an object made later wakes the pod. */
  function follow(pod: Pod, changed: () => void): void {
    const entry = entryOf(pod.metadata.uid ?? '');
    if (entry.following) return;
    entry.following = true;
    entry.changed = changed;
    const namespace = pod.metadata.namespace ?? '';
    for (const volume of pod.spec?.volumes ?? []) {
      const shown = shownObjects(volume);
      for (const name of shown.configMaps) entry.unfollow.push(deps.configMaps.follow(namespace, name, changed));
      for (const name of shown.secrets) entry.unfollow.push(deps.secrets.follow(namespace, name, changed));
    }
  }

  function armRenewal(pod: Pod): void {
    const uid = pod.metadata.uid ?? '';
    const entry = entryOf(uid);
    entry.timer?.cancel();
    const wait = deps.tokens.renewIn(uid);
    if (wait !== undefined) entry.timer = deps.clock.after(Math.min(wait, 2 ** 31 - 1), entry.changed);
  }

  async function setUp(pod: Pod, changed: () => void): Promise<void> {
    follow(pod, changed);
    const entry = entryOf(pod.metadata.uid ?? '');
    const results = await Promise.all(
      (pod.spec?.volumes ?? []).map(async (volume) => {
        if (entry.paths.has(volume.name)) return undefined;
        try {
          entry.paths.set(volume.name, await setUpOne(volume, pod));
          return undefined;
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          return new VolumeError(`MountVolume.SetUp failed for volume "${volume.name}" : ${why}`, { cause: error });
        }
      }),
    );
    armRenewal(pod);
    const failure = results.find((r) => r !== undefined);
    if (failure !== undefined) throw failure;
  }

  async function refresh(pod: Pod): Promise<void> {
    for (const volume of pod.spec?.volumes ?? []) {
      // What has not been set up yet is set up with fresh content anyway.
      if (!isProjection(volume) || !entryOf(pod.metadata.uid ?? '').paths.has(volume.name)) continue;
      await project(volume, pod).catch((error: unknown) => {
        deps.log.warn('a volume cannot be brought up to date', { pod: pod.metadata.name, volume: volume.name, error });
      });
    }
    armRenewal(pod);
  }

  function release(uid: string): void {
    const entry = mounted.get(uid);
    entry?.timer?.cancel();
    for (const unfollow of entry?.unfollow ?? []) unfollow();
    mounted.delete(uid);
  }

  return {
    setUp,
    hostPath: (uid, volume) => mounted.get(uid)?.paths.get(volume),
    refresh,
    tearDown: async (uid) => {
      release(uid);
      deps.tokens.forget(uid);
      const dir = podDir(paths, uid);
      await unmountBelow(dir, deps.exec);
      // Nothing below is a mount any more, so nothing but the pod's own files can go.
      await rm(dir, { recursive: true, force: true });
      await rm(join(memoryRoot, uid), { recursive: true, force: true });
    },
    close: () => {
      for (const uid of [...mounted.keys()]) release(uid);
    },
  };
}
