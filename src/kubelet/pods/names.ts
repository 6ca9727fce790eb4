/** Labels, annotations and paths by which pods and their containers are found again: pkg/kubelet/types upstream. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Container, Pod } from '#kube/generated/core-v1.ts';

export const labels = {
  podName: 'io.kubernetes.pod.name',
  podNamespace: 'io.kubernetes.pod.namespace',
  podUid: 'io.kubernetes.pod.uid',
  containerName: 'io.kubernetes.container.name',
} as const;

export const annotations = {
  hash: 'io.kubernetes.container.hash',
  restartCount: 'io.kubernetes.container.restartCount',
  terminationMessagePath: 'io.kubernetes.container.terminationMessagePath',
  terminationMessagePolicy: 'io.kubernetes.container.terminationMessagePolicy',
  preStopHandler: 'io.kubernetes.container.preStopHandler',
  ports: 'io.kubernetes.container.ports',
  podDeletionGracePeriod: 'io.kubernetes.pod.deletionGracePeriod',
  podTerminationGracePeriod: 'io.kubernetes.pod.terminationGracePeriod',
} as const;

/** Set on pods that come from files of the node (static pods), and on their mirrors in the API. */
export const podAnnotations = {
  source: 'kubernetes.io/config.source',
  hash: 'kubernetes.io/config.hash',
  mirror: 'kubernetes.io/config.mirror',
  seen: 'kubernetes.io/config.seen',
} as const;

/** Where the kubelet keeps things. */
export interface KubeletPaths {
  /** Pod folders, e.g. /var/lib/kubelet. */
  readonly root: string;
  /** e.g. /var/log/pods. */
  readonly podLogs: string;
  /** Links that log collectors read, e.g. /var/log/containers. */
  readonly containerLogs: string;
  /** Static pods; need not exist. */
  readonly manifests: string;
  /** The node's resolv.conf for pods. */
  readonly resolvConf: string;
  /** The node's hosts file. */
  readonly hosts: string;
}

export const podDir = (paths: KubeletPaths, uid: string): string => join(paths.root, 'pods', uid);
export const volumesDir = (paths: KubeletPaths, uid: string): string => join(podDir(paths, uid), 'volumes');
export const podLogDir = (paths: KubeletPaths, pod: PodIdentity): string => join(paths.podLogs, `${pod.namespace}_${pod.name}_${pod.uid}`);

export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export const identityOf = (pod: Pod): PodIdentity => ({
  namespace: pod.metadata.namespace ?? '',
  name: pod.metadata.name ?? '',
  uid: pod.metadata.uid ?? '',
});

/** name_namespace(uid), as messages name a pod. */
export const podText = (pod: PodIdentity): string => `${pod.name}_${pod.namespace}(${pod.uid})`;

/** Changes when a running container no longer is what the pod asks for: name and image, which is all that may change. */
export const containerHash = (container: Pick<Container, 'name' | 'image'>): string =>
  createHash('sha256')
    .update(JSON.stringify([container.name, container.image ?? '']))
    .digest('hex')
    .slice(0, 8);
