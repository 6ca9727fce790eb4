/** What the container runtime says about a pod, in our terms. */

import { isGrpc } from '#platform/grpc.ts';
import type { Cri } from '../cri/client.ts';
import type { ContainerStatus, PodSandbox, PodSandboxStatus } from '../cri/generated/cri.ts';
import { annotations, labels, type PodIdentity } from './names.ts';

export interface SandboxState {
  readonly id: string;
  readonly attempt: number;
  readonly createdMs: number;
  readonly ready: boolean;
  readonly hostNetwork: boolean;
  readonly ips: readonly string[];
}

export interface ContainerRecord {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  readonly state: 'created' | 'running' | 'exited' | 'unknown';
  readonly createdMs: number;
  readonly startedMs: number;
  readonly finishedMs: number;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
  readonly image: string;
  readonly imageRef: string;
  readonly hash: string;
  readonly restartCount: number;
  readonly terminationMessagePath: string;
  readonly terminationMessagePolicy: string;
  readonly gracePeriodSeconds: number | undefined;
  readonly logPath: string;
  readonly mounts: readonly { readonly containerPath: string; readonly hostPath: string }[];
}

export interface PodRuntime extends PodIdentity {
  /** Newest first. */
  readonly sandboxes: readonly SandboxState[];
  /** Newest first. */
  readonly containers: readonly ContainerRecord[];
}

const ms = (ns: number): number => Math.floor(ns / 1e6);

const states: Readonly<Record<string, ContainerRecord['state']>> = {
  CONTAINER_CREATED: 'created',
  CONTAINER_RUNNING: 'running',
  CONTAINER_EXITED: 'exited',
  CONTAINER_UNKNOWN: 'unknown',
};

function sandboxOf(s: PodSandboxStatus): SandboxState {
  const ips = [s.network?.ip ?? '', ...(s.network?.additionalIps ?? []).map((i) => i.ip)].filter((ip) => ip !== '');
  return {
    id: s.id,
    attempt: s.metadata?.attempt ?? 0,
    createdMs: ms(s.createdAt),
    ready: s.state === 'SANDBOX_READY',
    hostNetwork: s.linux?.namespaces?.options?.network === 'NODE',
    ips,
  };
}

export function containerOf(c: ContainerStatus, sandboxId = ''): ContainerRecord {
  const grace = Number(
    c.annotations[annotations.podDeletionGracePeriod] ?? c.annotations[annotations.podTerminationGracePeriod] ?? Number.NaN,
  );
  return {
    id: c.id,
    sandboxId,
    name: c.labels[labels.containerName] ?? c.metadata?.name ?? '',
    state: states[c.state] ?? 'unknown',
    createdMs: ms(c.createdAt),
    startedMs: ms(c.startedAt),
    finishedMs: ms(c.finishedAt),
    exitCode: c.exitCode,
    reason: c.reason,
    message: c.message,
    image: c.image?.image ?? '',
    imageRef: c.imageRef,
    hash: c.annotations[annotations.hash] ?? '',
    restartCount: Number(c.annotations[annotations.restartCount] ?? 0),
    terminationMessagePath: c.annotations[annotations.terminationMessagePath] ?? '',
    terminationMessagePolicy: c.annotations[annotations.terminationMessagePolicy] ?? '',
    gracePeriodSeconds: Number.isNaN(grace) ? undefined : grace,
    logPath: c.logPath,
    mounts: c.mounts.map((m) => ({ containerPath: m.containerPath, hostPath: m.hostPath })),
  };
}

const newest = <T extends { readonly createdMs: number }>(list: T[]): T[] => list.sort((a, b) => b.createdMs - a.createdMs);
const unlessGone = (error: unknown): undefined => {
  // Removed between the list and the question.
  if (isGrpc(error, 5)) return undefined;
  throw error;
};

/** Asks the runtime for everything it knows of one pod. */
export async function readPodRuntime(cri: Cri, pod: PodIdentity, signal?: AbortSignal): Promise<PodRuntime> {
  const options = signal === undefined ? {} : { signal };
  const filter = { labelSelector: { [labels.podUid]: pod.uid } };
  const [sandboxes, containers] = await Promise.all([cri.listPodSandbox({ filter }, options), cri.listContainers({ filter }, options)]);
  const [sandboxStates, containerStates] = await Promise.all([
    Promise.all(sandboxes.items.map((s) => cri.podSandboxStatus({ podSandboxId: s.id }, options).catch(unlessGone))),
    Promise.all(containers.containers.map((c) => cri.containerStatus({ containerId: c.id }, options).catch(unlessGone))),
  ]);
  return {
    ...pod,
    sandboxes: newest(sandboxStates.flatMap((s) => (s?.status ? [sandboxOf(s.status)] : []))),
    containers: newest(
      containerStates.flatMap((c, i) => (c?.status ? [containerOf(c.status, containers.containers[i]?.podSandboxId)] : [])),
    ),
  };
}

/** The pods that the runtime holds, and which sandbox and container ids are theirs. */
export async function listRuntimePods(
  cri: Cri,
): Promise<{ readonly pods: ReadonlyMap<string, PodIdentity>; readonly owners: ReadonlyMap<string, string> }> {
  const [sandboxes, containers] = await Promise.all([cri.listPodSandbox({}), cri.listContainers({})]);
  const pods = new Map<string, PodIdentity>();
  const owners = new Map<string, string>();
  const add = (id: string, l: PodSandbox['labels']): void => {
    const uid = l[labels.podUid];
    if (uid === undefined) return;
    owners.set(id, uid);
    if (!pods.has(uid)) pods.set(uid, { uid, name: l[labels.podName] ?? '', namespace: l[labels.podNamespace] ?? '' });
  };
  for (const s of sandboxes.items) add(s.id, s.labels);
  for (const c of containers.containers) add(c.id, c.labels);
  return { pods, owners };
}

export const newestOf = (runtime: PodRuntime, name: string): ContainerRecord | undefined => runtime.containers.find((c) => c.name === name);
