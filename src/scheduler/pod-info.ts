import type { Container, Pod, PodAffinityTerm, PodSpec } from '#kube/generated/core-v1.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import type { Stored } from '#kube/object.ts';
import { objectKey } from '#kube/object.ts';
import { bytesValue, milliValue } from '#kube/quantity.ts';

import type { AffinityTerm, Amounts, HostPort, PodInfo } from './framework.ts';
import { compileSelector, nothing } from './selector.ts';

type Requests = Readonly<Record<string, string | number>>;
type Resource = Map<string, number>;

/** Stand-ins that scores use for containers without requests: 100 millicores, 200 MB (upstream's pkg/scheduler/util). */
const defaultCpu = 100;
const defaultMemory = 200 * 1024 * 1024;

/** Computes what scheduling needs of a pod. */
export function podInfo(pod: Stored<Pod>): PodInfo {
  const spec = pod.spec;
  const namespace = pod.metadata.namespace ?? '';
  const requests = podRequests(pod, false);
  const nonZero = podRequests(pod, true);
  const affinity = spec?.affinity;
  const terms = (list: readonly PodAffinityTerm[] | undefined) => (list ?? []).map((t) => affinityTerm(t, namespace, 0));
  const weighted = (list: readonly { weight: number; podAffinityTerm: PodAffinityTerm }[] | undefined) =>
    (list ?? []).map((t) => affinityTerm(t.podAffinityTerm, namespace, t.weight));
  return {
    pod,
    key: objectKey(pod),
    uid: pod.metadata.uid,
    namespace,
    labels: pod.metadata.labels ?? {},
    priority: spec?.priority ?? 0,
    requests,
    nonZeroCpu: nonZero.get('cpu') ?? 0,
    nonZeroMemory: nonZero.get('memory') ?? 0,
    hostPorts: spec === undefined ? [] : hostPortsOf(spec),
    claims: claimsOf(pod).map((c) => c.name),
    requiredAffinity: terms(affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    requiredAntiAffinity: terms(affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    preferredAffinity: weighted(affinity?.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
    preferredAntiAffinity: weighted(affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
  };
}

function affinityTerm(term: PodAffinityTerm, podNamespace: string, weight: number): AffinityTerm {
  const named = term.namespaces ?? [];
  const namespaces = named.length === 0 && term.namespaceSelector === undefined ? [podNamespace] : named;
  const namespaceSelector = term.namespaceSelector === undefined ? undefined : compileSelector(term.namespaceSelector);
  const selector = term.labelSelector === undefined ? nothing : compileSelector(term.labelSelector);
  return {
    key: JSON.stringify([term.topologyKey, namespaces, namespaceSelector?.key ?? null, selector.key, weight]),
    topologyKey: term.topologyKey,
    namespaces,
    namespaceMatches: namespaceSelector?.matches,
    selector,
    weight,
  };
}

/** The selector with the pod's own values of `matchLabelKeys` added. */
export function withLabelKeys(selector: LabelSelector | undefined, keys: readonly string[], labels: Readonly<Record<string, string>>) {
  const present = keys.filter((k) => labels[k] !== undefined);
  if (present.length === 0) return selector;
  const extra = present.map((key) => ({ key, operator: 'In', values: [labels[key] ?? ''] }));
  return { ...selector, matchExpressions: [...(selector?.matchExpressions ?? []), ...extra] };
}

/** Ports on the node that the pod asks for; containers on the host network ask for each of their ports. */
function hostPortsOf(spec: PodSpec): HostPort[] {
  const restartable = (spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  return [...spec.containers, ...restartable].flatMap((c) =>
    (c.ports ?? [])
      .filter((p) => p.hostPort !== undefined && p.hostPort > 0)
      .map((p) => ({
        ip: p.hostIP === undefined || p.hostIP === '' ? '0.0.0.0' : p.hostIP,
        protocol: p.protocol ?? 'TCP',
        port: p.hostPort ?? 0,
      })),
  );
}

const isSidecar = (c: Container): boolean => c.restartPolicy === 'Always';

function add(to: Resource, from: Amounts): void {
  for (const [name, value] of from) to.set(name, (to.get(name) ?? 0) + value);
}

function raise(to: Resource, from: Amounts): void {
  for (const [name, value] of from) if (value > (to.get(name) ?? 0)) to.set(name, value);
}

/** A resource list as numbers: cpu in thousandths, the rest in units, rounded up. */
export function amounts(list: Requests | undefined): Resource {
  const result: Resource = new Map();
  for (const [name, quantity] of Object.entries(list ?? {})) {
    result.set(name, name === 'cpu' ? milliValue(quantity) : bytesValue(quantity));
  }
  return result;
}

/**
 * What the pod asks of a node (k8s.io/component-helpers resource.PodRequests): containers and sidecars together, but at
 * least what each init container needs beside the sidecars started before it; pod-level requests replace the sum; the
 * overhead comes on top. While a resize is under way the larger of wanted and allocated counts.
 */
function podRequests(pod: Stored<Pod>, standIns: boolean): Resource {
  const spec = pod.spec;
  if (spec === undefined) return new Map();
  const statuses = new Map((pod.status?.containerStatuses ?? []).map((s) => [s.name, s]));
  const of = (c: Container): Resource => {
    const result = amounts(c.resources?.requests);
    const status = statuses.get(c.name);
    if (status?.resources?.requests !== undefined) raise(result, amounts(status.resources.requests));
    if (status?.allocatedResources !== undefined) raise(result, amounts(status.allocatedResources));
    if (standIns) {
      if (!result.has('cpu')) result.set('cpu', defaultCpu);
      if (!result.has('memory')) result.set('memory', defaultMemory);
    }
    return result;
  };
  const total: Resource = new Map();
  for (const c of spec.containers) add(total, of(c));
  const sidecars: Resource = new Map();
  const initPeak: Resource = new Map();
  for (const c of spec.initContainers ?? []) {
    const need = of(c);
    if (isSidecar(c)) {
      add(sidecars, need);
      add(total, need);
      raise(initPeak, sidecars);
    } else {
      add(need, sidecars);
      raise(initPeak, need);
    }
  }
  raise(total, initPeak);
  for (const [name, value] of amounts(spec.resources?.requests)) total.set(name, value);
  add(total, amounts(spec.overhead));
  return total;
}

/** True for pods that no longer hold anything on a node. */
export const isFinished = (pod: Stored<Pod>): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** The claims a pod uses; a generic ephemeral volume's claim is "pod-volume". */
export function claimsOf(pod: Stored<Pod>): readonly { readonly name: string; readonly ephemeral: boolean }[] {
  const names: { name: string; ephemeral: boolean }[] = [];
  for (const v of pod.spec?.volumes ?? []) {
    if (v.persistentVolumeClaim !== undefined) names.push({ name: v.persistentVolumeClaim.claimName, ephemeral: false });
    else if (v.ephemeral !== undefined) names.push({ name: `${pod.metadata.name}-${v.name}`, ephemeral: true });
  }
  return names;
}
