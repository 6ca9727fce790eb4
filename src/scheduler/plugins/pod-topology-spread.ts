import type { TopologySpreadConstraint } from '#kube/generated/core-v1.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import { untolerated } from '#kube/taints.ts';
import type { ClusterView, NodeInfo, Plugin, PodInfo, PreparedScore, Selector } from '../framework.ts';
import { maxScore, reject } from '../framework.ts';
import { withLabelKeys } from '../pod-info.ts';
import { compileSelector, nothing } from '../selector.ts';
import { requiredNodeTest } from './node-affinity.ts';

interface Constraint {
  readonly maxSkew: number;
  readonly topologyKey: string;
  readonly selector: Selector;
  readonly minDomains: number;
  /** Which nodes' pods and domains count. */
  readonly counts: (node: NodeInfo) => boolean;
}

const hostname = 'kubernetes.io/hostname';
const zone = 'topology.kubernetes.io/zone';

function compile(constraint: TopologySpreadConstraint, pod: PodInfo, selector: LabelSelector | undefined): Constraint {
  const suits = constraint.nodeAffinityPolicy === 'Ignore' ? undefined : requiredNodeTest(pod);
  const honorTaints = constraint.nodeTaintsPolicy === 'Honor';
  const tolerations = pod.pod.spec?.tolerations;
  const withKeys = withLabelKeys(selector, constraint.matchLabelKeys ?? [], pod.labels);
  return {
    maxSkew: constraint.maxSkew,
    topologyKey: constraint.topologyKey,
    selector: withKeys === undefined ? nothing : compileSelector(withKeys),
    minDomains: constraint.minDomains ?? 1,
    counts: (node) =>
      (suits?.(node) ?? true) && (!honorTaints || untolerated(node.taints, tolerations, ['NoSchedule', 'NoExecute']) === undefined),
  };
}

function own(pod: PodInfo, whenUnsatisfiable: string): Constraint[] {
  return (pod.pod.spec?.topologySpreadConstraints ?? [])
    .filter((c) => c.whenUnsatisfiable === whenUnsatisfiable)
    .map((c) => compile(c, pod, c.labelSelector));
}

/** Upstream's system defaults, for pods without constraints of their own that belong to a service or controller. */
function systemDefaults(pod: PodInfo, view: ClusterView): Constraint[] {
  if ((pod.pod.spec?.topologySpreadConstraints ?? []).length > 0) return [];
  const selector = view.spreadSelector(pod);
  if (selector === undefined) return [];
  const soft = (topologyKey: string, maxSkew: number): TopologySpreadConstraint => ({
    topologyKey,
    maxSkew,
    whenUnsatisfiable: 'ScheduleAnyway',
  });
  return [soft(hostname, 3), soft(zone, 5)].map((c) => compile(c, pod, selector));
}

const hasKeys = (node: NodeInfo, constraints: readonly Constraint[]): boolean =>
  constraints.every((c) => node.labels[c.topologyKey] !== undefined);

/** Pods by domain: every domain that a counting node has, also those without pods. */
function domainCounts(c: Constraint, all: readonly Constraint[], pod: PodInfo, view: ClusterView): Map<string, number> {
  const perNode = view.count(pod.namespace, c.selector, false);
  const domains = new Map<string, number>();
  for (const node of view.nodes) {
    if (!hasKeys(node, all) || !c.counts(node)) continue;
    const domain = node.labels[c.topologyKey] ?? '';
    domains.set(domain, (domains.get(domain) ?? 0) + (perNode.get(node.name) ?? 0));
  }
  return domains;
}

const mismatch = "node(s) didn't match pod topology spread constraints";

export const podTopologySpread: Plugin = {
  name: 'PodTopologySpread',
  weight: 2,
  prepareFilter: (pod, view) => {
    const constraints = own(pod, 'DoNotSchedule');
    if (constraints.length === 0) return { verdict: 'skip' };
    const states = constraints.map((c) => {
      const domains = domainCounts(c, constraints, pod, view);
      // With fewer domains than asked for, the missing ones count as empty.
      const least = domains.size < c.minDomains ? 0 : Math.min(...domains.values());
      return { c, domains, least, self: c.selector.matches(pod.labels) ? 1 : 0 };
    });
    return {
      verdict: 'filter',
      filter: (node) => {
        for (const { c, domains, least, self } of states) {
          const domain = node.labels[c.topologyKey];
          if (domain === undefined) return reject('PodTopologySpread', true, `${mismatch} (missing required label)`);
          if ((domains.get(domain) ?? 0) + self - least > c.maxSkew) return reject('PodTopologySpread', false, mismatch);
        }
        return undefined;
      },
    };
  },
  prepareScore: (pod, view, nodes) => {
    const explicit = own(pod, 'ScheduleAnyway');
    if (explicit.length > 0) return spreadScore(explicit, true, pod, view, nodes);
    const defaults = systemDefaults(pod, view);
    return defaults.length === 0 ? undefined : spreadScore(defaults, false, pod, view, nodes);
  },
  wakesOn: (event, pod) => {
    if (event.on === 'node') return event.what === 'add' || event.what === 'labels' || event.what === 'taints';
    return event.on === 'pod' && event.pod.namespace === pod.namespace;
  },
};

/** Fewer matching pods in the node's domains is better; domains that are many count for more (log(size + 2)). */
function spreadScore(
  constraints: readonly Constraint[],
  requireAllKeys: boolean,
  pod: PodInfo,
  view: ClusterView,
  nodes: readonly NodeInfo[],
): PreparedScore {
  const usable = (node: NodeInfo): boolean => !requireAllKeys || hasKeys(node, constraints);
  const states = constraints.map((c) => {
    const perNode = view.count(pod.namespace, c.selector, false);
    const domains = new Map<string, number>();
    for (const node of nodes) {
      const domain = node.labels[c.topologyKey];
      if (domain !== undefined && usable(node)) domains.set(domain, 0);
    }
    const size = c.topologyKey === hostname ? nodes.filter(usable).length : domains.size;
    if (c.topologyKey !== hostname) {
      for (const node of view.nodes) {
        const domain = node.labels[c.topologyKey];
        const known = domain === undefined ? undefined : domains.get(domain);
        if (domain === undefined || known === undefined || !usable(node) || !c.counts(node)) continue;
        domains.set(domain, known + (perNode.get(node.name) ?? 0));
      }
    }
    return { c, perNode, domains, weight: Math.log(size + 2) };
  });
  return {
    score: (node) => {
      if (!usable(node)) return 0;
      let sum = 0;
      for (const { c, perNode, domains, weight } of states) {
        const domain = node.labels[c.topologyKey];
        if (domain === undefined) continue;
        const count = c.topologyKey === hostname ? (perNode.get(node.name) ?? 0) : (domains.get(domain) ?? 0);
        sum += count * weight + (c.maxSkew - 1);
      }
      return Math.round(sum);
    },
    normalize: (scores, scored) => {
      const used = scores.filter((_, i) => usable(scored[i] as NodeInfo));
      const max = Math.max(0, ...used);
      const min = used.length === 0 ? 0 : Math.min(...used);
      return scores.map((s, i) => {
        if (!usable(scored[i] as NodeInfo)) return 0;
        return max === 0 ? maxScore : Math.trunc((maxScore * (max + min - s)) / max);
      });
    },
  };
}
