/**
 * Groups of pods that policies speak of, as sets of addresses kept up to date pod by pod: a change of one pod costs one
 * look at each group, not one at each pair of policy and pod.
 */
import type { Pod } from '#kube/generated/core-v1.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import { objectKey, type Stored } from '#kube/object.ts';
import { fromLabelSelector, matchesLabels } from '#kube/selector.ts';

type Labels = Readonly<Record<string, string>>;

/** Which pods: of one namespace, or of those that a selector picks; there, those whose labels match. */
export interface PodGroup {
  /** Equal groups have equal keys. */
  readonly key: string;
  readonly inNamespace: (name: string, labels: Labels) => boolean;
  readonly matches: (labels: Labels) => boolean;
}

export interface NamedPort {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
}

/** What policies need of a pod. Pods on the host network and finished ones have no address of their own and are left out. */
export interface PolicyPod {
  readonly key: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly ips: readonly string[];
  readonly node: string;
  readonly ports: readonly NamedPort[];
}

export function policyPod(pod: Stored<Pod>): PolicyPod | undefined {
  const { spec, status } = pod;
  if (spec?.hostNetwork === true || status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  const ips = (status?.podIPs ?? []).map((i) => i.ip).filter((ip) => ip !== '');
  if (ips.length === 0 && status?.podIP !== undefined && status.podIP !== '') ips.push(status.podIP);
  if (ips.length === 0) return undefined;
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always')];
  return {
    key: objectKey(pod),
    namespace: pod.metadata.namespace ?? '',
    labels: pod.metadata.labels ?? {},
    ips,
    node: spec?.nodeName ?? '',
    ports: containers.flatMap((c) =>
      (c.ports ?? []).flatMap((p) =>
        p.name === undefined ? [] : [{ name: p.name, protocol: (p.protocol ?? 'TCP').toLowerCase(), port: p.containerPort }],
      ),
    ),
  };
}

/** An invalid selector (the API server admits none) picks nothing. */
function matcher(selector: LabelSelector | undefined): (labels: Labels) => boolean {
  try {
    const parsed = fromLabelSelector(selector ?? {});
    return (labels) => matchesLabels(parsed, labels);
  } catch {
    return () => false;
  }
}

export function podGroup(
  namespace: string,
  namespaceSelector: LabelSelector | undefined,
  podSelector: LabelSelector | undefined,
): PodGroup {
  const spaces = namespaceSelector === undefined ? undefined : matcher(namespaceSelector);
  return {
    key: JSON.stringify([namespaceSelector === undefined ? namespace : namespaceSelector, podSelector ?? {}]),
    inNamespace: (name, labels) => (spaces === undefined ? name === namespace : spaces(labels)),
    matches: matcher(podSelector),
  };
}

interface Members {
  readonly group: PodGroup;
  readonly pods: Map<string, PolicyPod>;
  /** How many policies use the group. */
  users: number;
}

export class PodGroups {
  readonly #groups = new Map<string, Members>();
  readonly #pods = new Map<string, PolicyPod>();
  readonly #byNamespace = new Map<string, Set<string>>();
  readonly #namespaces = new Map<string, Labels>();
  readonly #changed: (group: string) => void;

  /** `changed` is called with the key of every group whose members changed. */
  constructor(changed: (group: string) => void) {
    this.#changed = changed;
  }

  members(group: string): Iterable<PolicyPod> {
    return this.#groups.get(group)?.pods.values() ?? [];
  }

  pod(key: string): PolicyPod | undefined {
    return this.#pods.get(key);
  }

  podsIn(namespace: string): readonly PolicyPod[] {
    return [...(this.#byNamespace.get(namespace) ?? [])].map((k) => this.#pods.get(k)).filter((p): p is PolicyPod => p !== undefined);
  }

  /** Begins to follow a group. */
  use(group: PodGroup): void {
    const known = this.#groups.get(group.key);
    if (known !== undefined) {
      known.users++;
      return;
    }
    const members: Members = { group, pods: new Map(), users: 1 };
    this.#groups.set(group.key, members);
    for (const [namespace, keys] of this.#byNamespace) {
      if (!group.inNamespace(namespace, this.#namespaces.get(namespace) ?? {})) continue;
      for (const key of keys) {
        const pod = this.#pods.get(key);
        if (pod !== undefined && group.matches(pod.labels)) members.pods.set(key, pod);
      }
    }
    this.#changed(group.key);
  }

  /** Ends what `use` began. */
  release(key: string): void {
    const members = this.#groups.get(key);
    if (members === undefined || --members.users > 0) return;
    this.#groups.delete(key);
    this.#changed(key);
  }

  isUsed(key: string): boolean {
    return this.#groups.has(key);
  }

  /** A pod's new state, or undefined when it is gone. True when it differs from the old one. */
  setPod(key: string, pod: PolicyPod | undefined): boolean {
    const old = this.#pods.get(key);
    if (JSON.stringify(old) === JSON.stringify(pod)) return false;
    if (pod === undefined) {
      this.#pods.delete(key);
      const keys = this.#byNamespace.get(old?.namespace ?? '');
      keys?.delete(key);
      if (keys?.size === 0) this.#byNamespace.delete(old?.namespace ?? '');
    } else {
      this.#pods.set(key, pod);
      const keys = this.#byNamespace.get(pod.namespace) ?? new Set();
      keys.add(key);
      this.#byNamespace.set(pod.namespace, keys);
    }
    for (const members of this.#groups.values()) this.#place(members, key, pod);
    return true;
  }

  #place(members: Members, key: string, pod: PolicyPod | undefined): void {
    const { group } = members;
    const belongs =
      pod !== undefined && group.inNamespace(pod.namespace, this.#namespaces.get(pod.namespace) ?? {}) && group.matches(pod.labels);
    if (belongs) {
      members.pods.set(key, pod);
      this.#changed(group.key);
    } else if (members.pods.delete(key)) this.#changed(group.key);
  }

  setNamespace(name: string, labels: Labels | undefined): void {
    if (JSON.stringify(this.#namespaces.get(name)) === JSON.stringify(labels)) return;
    if (labels === undefined) this.#namespaces.delete(name);
    else this.#namespaces.set(name, labels);
    for (const key of this.#byNamespace.get(name) ?? []) {
      const pod = this.#pods.get(key);
      for (const members of this.#groups.values()) this.#place(members, key, pod);
    }
  }
}
