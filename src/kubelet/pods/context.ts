/** What the handling of pods needs from the rest of the kubelet. */
import type { KubeClient } from '#client/contract.ts';
import type { ConfigMap, Container, Node, Pod, Secret, Service } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import type { Clock } from '#platform/clock.ts';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import type { Cgroups } from '../cgroups.ts';
import type { Cri } from '../cri/client.ts';
import type { DNSConfig } from '../cri/generated/cri.ts';
import type { ImagePuller } from '../images/puller.ts';
import type { Prober } from '../probes/prober.ts';
import type { VolumeManager } from '../volumes/manager.ts';
import type { FollowedObjects } from '../volumes/objects.ts';
import type { ClusterDns } from './dns.ts';
import type { NodeFacts } from './field-ref.ts';
import type { KubeletPaths } from './names.ts';
import type { StatusWriter } from './status-writer.ts';

export interface PodContext {
  readonly client: KubeClient;
  readonly cri: () => Cri;
  readonly paths: KubeletPaths;
  readonly volumes: VolumeManager;
  readonly images: ImagePuller;
  /** Resolves when the images that come with the node, the pause image among them, are there. */
  readonly imagesImported: () => Promise<void>;
  readonly configMaps: FollowedObjects<ConfigMap>;
  readonly secrets: FollowedObjects<Secret>;
  readonly services: () => readonly Service[];
  readonly prober: Prober;
  readonly statuses: StatusWriter;
  readonly cgroups: Cgroups;
  /** Whether the kernel killed a process of the container because memory ran out. */
  readonly killedByKernel: (containerId: string) => Promise<boolean>;
  readonly node: () => NodeFacts;
  readonly memoryCapacity: number;
  readonly clusterDns: ClusterDns;
  readonly hostDns: () => Promise<DNSConfig>;
  /** Why pods with their own network cannot run yet; undefined when they can. */
  readonly networkReady: () => string | undefined;
  readonly clock: Clock;
  readonly exec: Exec;
  readonly log: Logger;
  /** Aborts when the kubelet stops: nothing may hold it up. */
  readonly signal: AbortSignal;
  /** An Event about the pod, or about one of its containers. */
  readonly event: (
    pod: Pod,
    container: Pick<Container, 'name'> | undefined,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ) => void;
  /** Routes events of the runtime about a sandbox or container to the pod. */
  readonly own: (id: string, podUid: string) => void;
  readonly nodeObject: () => Stored<Node> | undefined;
  /** Pods that this node has taken on and that have not ended, but this one. */
  readonly admitted: (exceptUid: string) => readonly Pod[];
}

/** Where a container is in its pod's spec, as Events name it. */
export function containerFieldPath(pod: Pod, name: string): string {
  const lists = [
    ['initContainers', pod.spec?.initContainers],
    ['containers', pod.spec?.containers],
    ['ephemeralContainers', pod.spec?.ephemeralContainers],
  ] as const;
  for (const [list, containers] of lists) if (containers?.some((c) => c.name === name)) return `spec.${list}{${name}}`;
  return '';
}
