import type { Node } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import type { HostPort, NodeInfo, PodInfo } from './framework.ts';
import { amounts } from './pod-info.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A NodeInfo as the cache keeps it. */
export interface MutableNodeInfo extends Writable<NodeInfo> {
  pods: Map<string, PodInfo>;
  requested: Map<string, number>;
  images: Map<string, number>;
  usedPorts: Map<string, string[]>;
}

/** A node without pods; without `node` it stands for one that is not (yet) known, as when its pods arrive first. */
export function nodeInfo(name: string, node?: Stored<Node>): MutableNodeInfo {
  const info: MutableNodeInfo = {
    name,
    labels: {},
    taints: [],
    unschedulable: false,
    allocatable: new Map(),
    images: new Map(),
    pods: new Map(),
    requested: new Map(),
    nonZeroCpu: 0,
    nonZeroMemory: 0,
    usedPorts: new Map(),
  };
  if (node !== undefined) setNode(info, node);
  return info;
}

export function setNode(info: MutableNodeInfo, node: Stored<Node>): void {
  info.labels = node.metadata.labels ?? {};
  info.taints = node.spec?.taints ?? [];
  info.unschedulable = node.spec?.unschedulable ?? false;
  info.allocatable = amounts(node.status?.allocatable);
  info.images = new Map();
  for (const image of node.status?.images ?? []) for (const name of image.names ?? []) info.images.set(name, image.sizeBytes ?? 0);
}

export function addPod(info: MutableNodeInfo, pod: PodInfo): void {
  info.pods.set(pod.uid, pod);
  for (const [name, value] of pod.requests) info.requested.set(name, (info.requested.get(name) ?? 0) + value);
  info.nonZeroCpu += pod.nonZeroCpu;
  info.nonZeroMemory += pod.nonZeroMemory;
  for (const p of pod.hostPorts) {
    const key = portKey(p);
    const ips = info.usedPorts.get(key);
    if (ips === undefined) info.usedPorts.set(key, [p.ip]);
    else ips.push(p.ip);
  }
}

export function removePod(info: MutableNodeInfo, pod: PodInfo): void {
  if (!info.pods.delete(pod.uid)) return;
  for (const [name, value] of pod.requests) {
    const left = (info.requested.get(name) ?? 0) - value;
    if (left === 0) info.requested.delete(name);
    else info.requested.set(name, left);
  }
  info.nonZeroCpu -= pod.nonZeroCpu;
  info.nonZeroMemory -= pod.nonZeroMemory;
  for (const p of pod.hostPorts) {
    const key = portKey(p);
    const ips = info.usedPorts.get(key) ?? [];
    const at = ips.indexOf(p.ip);
    if (at >= 0) ips.splice(at, 1);
    if (ips.length === 0) info.usedPorts.delete(key);
  }
}

export const portKey = (p: HostPort): string => `${p.protocol}/${p.port}`;

/** A copy whose pods may be changed without touching the cache. */
export function cloneNodeInfo(info: NodeInfo): MutableNodeInfo {
  return {
    ...info,
    pods: new Map(info.pods),
    requested: new Map(info.requested),
    images: new Map(info.images),
    usedPorts: new Map([...info.usedPorts].map(([k, ips]) => [k, [...ips]])),
  };
}
