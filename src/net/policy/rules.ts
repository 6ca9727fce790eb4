/**
 * Network policies as nftables rules. A pod of this node that a policy isolates stands in a verdict map with the chain
 * of its set of policies: what no policy there accepts is dropped. Egress is judged in one hook, ingress in a later one,
 * so a packet between two isolated pods must pass both.
 */
import { createHash } from 'node:crypto';
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '#kube/generated/networking-v1.ts';
import type { Stored } from '#kube/object.ts';
import { parseCidr } from '#lib/cidr.ts';
import type { ElementDef, Fragment } from '../nft/table.ts';
import { type PodGroup, type PolicyPod, podGroup } from './groups.ts';

export type Direction = 'ingress' | 'egress';
export type Family = 4 | 6;

interface PeerModel {
  /** Undefined: an address block, or anybody. */
  readonly group: PodGroup | undefined;
  readonly cidr: string | undefined;
  readonly except: readonly string[];
}

interface RuleModel {
  /** Empty: anybody. */
  readonly peers: readonly PeerModel[];
  /** Empty: any port. */
  readonly ports: readonly NetworkPolicyPort[];
}

export interface PolicyModel {
  readonly key: string;
  readonly namespace: string;
  readonly selects: PodGroup;
  /** Absent: the policy does not isolate in this direction. */
  readonly rules: Readonly<Partial<Record<Direction, readonly RuleModel[]>>>;
}

const everyPod = podGroup('', {}, undefined);

export function policyModel(policy: Stored<NetworkPolicy>): PolicyModel {
  const { namespace = '', name } = policy.metadata;
  const spec = policy.spec ?? {};
  const types = spec.policyTypes ?? ['Ingress', ...(spec.egress === undefined ? [] : ['Egress'])];
  const rule = (peers: readonly NetworkPolicyPeer[] | undefined, ports: readonly NetworkPolicyPort[] | undefined): RuleModel => ({
    peers: (peers ?? []).map((p) => peerModel(p, namespace)),
    ports: ports ?? [],
  });
  return {
    key: `${namespace}/${name}`,
    namespace,
    selects: podGroup(namespace, undefined, spec.podSelector),
    rules: {
      ...(types.includes('Ingress') ? { ingress: (spec.ingress ?? []).map((r) => rule(r.from, r.ports)) } : {}),
      ...(types.includes('Egress') ? { egress: (spec.egress ?? []).map((r) => rule(r.to, r.ports)) } : {}),
    },
  };
}

function peerModel(peer: NetworkPolicyPeer, namespace: string): PeerModel {
  if (peer.ipBlock !== undefined) return { group: undefined, cidr: peer.ipBlock.cidr, except: peer.ipBlock.except ?? [] };
  return { group: podGroup(namespace, peer.namespaceSelector, peer.podSelector), cidr: undefined, except: [] };
}

/** A port by name means another number on each pod: the group of pods that may be the destination, and the name. */
export interface NamedPortUse {
  readonly group: PodGroup;
  readonly name: string;
  readonly protocol: string;
}

const protocolOf = (p: NetworkPolicyPort): string => (p.protocol ?? 'TCP').toLowerCase();

/** Where a named port of a rule is looked up: on the selected pods for ingress, on the peers for egress. */
function namedUses(model: PolicyModel, direction: Direction, rule: RuleModel, port: NetworkPolicyPort): NamedPortUse[] {
  if (typeof port.port !== 'string') return [];
  const at = { name: port.port, protocol: protocolOf(port) };
  if (direction === 'ingress') return [{ group: model.selects, ...at }];
  const groups = rule.peers.flatMap((p) => (p.group === undefined ? [] : [p.group]));
  return (groups.length === 0 ? [everyPod] : groups).map((group) => ({ group, ...at }));
}

/** The groups whose addresses the rules of a policy need, and the ports they look up by name. */
export function usesOf(model: PolicyModel): { readonly groups: readonly PodGroup[]; readonly named: readonly NamedPortUse[] } {
  const groups = new Map<string, PodGroup>([[model.selects.key, model.selects]]);
  const named = new Map<string, NamedPortUse>();
  for (const direction of ['ingress', 'egress'] as const) {
    for (const rule of model.rules[direction] ?? []) {
      for (const peer of rule.peers) if (peer.group !== undefined) groups.set(peer.group.key, peer.group);
      for (const use of rule.ports.flatMap((p) => namedUses(model, direction, rule, p))) {
        named.set(namedSet(use), use);
        groups.set(use.group.key, use.group);
      }
    }
  }
  return { groups: [...groups.values()], named: [...named.values()] };
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
const readable = (text: string): string => text.replaceAll(/[^a-zA-Z0-9/._-]/g, '').slice(0, 80);

export const groupSet = (group: string): string => `pods-${hash(group)}`;
export const namedSet = (use: NamedPortUse): string => `ports-${hash(`${use.group.key}|${use.name}|${use.protocol}`)}`;
const policyChain = (direction: Direction, key: string): string => `${direction}-${hash(key)}-${readable(key)}`;
const comboChain = (direction: Direction, policies: readonly string[]): string => `${direction}-of-${hash(policies.join(' '))}`;

const ipOf = (family: Family): string => (family === 4 ? 'ip' : 'ip6');
const addressType = (family: Family): string => (family === 4 ? 'ipv4_addr' : 'ipv6_addr');
const isOf = (family: Family, ip: string): boolean => ip.includes(':') === (family === 6);

/** The table without policies. */
export function policyBase(family: Family): Fragment {
  const ip = ipOf(family);
  const address = addressType(family);
  // What has begun goes on: a policy judges new connections.
  const open = 'ct state established,related accept';
  return {
    sets: [
      { name: 'egress', kind: 'map', spec: `type ${address} : verdict;` },
      { name: 'ingress', kind: 'map', spec: `type ${address} : verdict;` },
      { name: 'self', kind: 'set', spec: `type ${address} . ${address};` },
    ],
    chains: [
      {
        name: 'forward-egress',
        hook: 'type filter hook forward priority 10;',
        rules: [open, `${ip} saddr . ${ip} daddr @self accept`, `${ip} saddr vmap @egress`],
      },
      {
        name: 'forward-ingress',
        hook: 'type filter hook forward priority 20;',
        rules: [open, `${ip} saddr . ${ip} daddr @self accept`, `${ip} daddr vmap @ingress`],
      },
    ],
  };
}

/** Addresses of a group. */
export function groupFragment(group: string, pods: Iterable<PolicyPod>, family: Family): Fragment {
  const name = groupSet(group);
  const elements: ElementDef[] = [];
  for (const pod of pods) for (const ip of pod.ips) if (isOf(family, ip)) elements.push({ set: name, key: ip });
  return { sets: [{ name, kind: 'set', spec: `type ${addressType(family)};` }], elements };
}

/** Address and number of a named port on the pods of a group. */
export function namedFragment(use: NamedPortUse, pods: Iterable<PolicyPod>, family: Family): Fragment {
  const name = namedSet(use);
  const elements: ElementDef[] = [];
  for (const pod of pods) {
    for (const port of pod.ports) {
      if (port.name !== use.name || port.protocol !== use.protocol) continue;
      for (const ip of pod.ips) if (isOf(family, ip)) elements.push({ set: name, key: `${ip} . ${port.protocol} . ${port.port}` });
    }
  }
  return { sets: [{ name, kind: 'set', spec: `type ${addressType(family)} . inet_proto . inet_service;` }], elements };
}

/** The chains of one policy. */
export function policyFragment(model: PolicyModel, family: Family): Fragment {
  const chains = (['ingress', 'egress'] as const).flatMap((direction) => {
    const rules = model.rules[direction];
    if (rules === undefined) return [];
    return [{ name: policyChain(direction, model.key), rules: rules.flatMap((r) => acceptRules(model, direction, r, family)) }];
  });
  return { chains };
}

function acceptRules(model: PolicyModel, direction: Direction, rule: RuleModel, family: Family): string[] {
  const peers = rule.peers.length === 0 ? [''] : rule.peers.flatMap((p) => peerMatch(p, direction, family));
  const ports = rule.ports.length === 0 ? [''] : portMatches(model, direction, rule, family);
  return peers.flatMap((peer) => ports.map((port) => [peer, port, 'accept'].filter((t) => t !== '').join(' ')));
}

function peerMatch(peer: PeerModel, direction: Direction, family: Family): string[] {
  const side = `${ipOf(family)} ${direction === 'ingress' ? 'saddr' : 'daddr'}`;
  if (peer.group !== undefined) return [`${side} @${groupSet(peer.group.key)}`];
  const { cidr } = peer;
  if (cidr === undefined || parseCidr(cidr)?.family !== family) return [];
  const except = peer.except.filter((e) => parseCidr(e)?.family === family);
  return [`${side} ${cidr}${except.length === 0 ? '' : ` ${side} != { ${except.join(', ')} }`}`];
}

function portMatches(model: PolicyModel, direction: Direction, rule: RuleModel, family: Family): string[] {
  const matches: string[] = [];
  const numbers = new Map<string, string[]>();
  for (const p of rule.ports) {
    const protocol = protocolOf(p);
    if (p.port === undefined) matches.push(`meta l4proto ${protocol}`);
    else if (typeof p.port === 'string') {
      for (const use of namedUses(model, direction, rule, p))
        matches.push(`${ipOf(family)} daddr . meta l4proto . th dport @${namedSet(use)}`);
    } else {
      const list = numbers.get(protocol) ?? [];
      list.push(p.endPort === undefined || p.endPort <= p.port ? String(p.port) : `${p.port}-${p.endPort}`);
      numbers.set(protocol, list);
    }
  }
  // One match for each: nft refuses ranges that overlap inside one set.
  for (const [protocol, list] of numbers) for (const port of new Set(list)) matches.push(`meta l4proto ${protocol} th dport ${port}`);
  return matches;
}

/** What the policies that select a pod of this node mean for it; undefined when none isolates it. */
export function podFragment(pod: PolicyPod, policies: readonly PolicyModel[], family: Family): Fragment | undefined {
  const elements: ElementDef[] = [];
  for (const direction of ['ingress', 'egress'] as const) {
    const keys = policiesFor(direction, policies);
    if (keys.length === 0) continue;
    for (const ip of pod.ips)
      if (isOf(family, ip)) elements.push({ set: direction, key: ip, value: `goto ${comboChain(direction, keys)}` });
  }
  if (elements.length === 0) return undefined;
  for (const ip of pod.ips) if (isOf(family, ip)) elements.push({ set: 'self', key: `${ip} . ${ip}` });
  return { elements };
}

const policiesFor = (direction: Direction, policies: readonly PolicyModel[]): string[] =>
  policies
    .filter((p) => p.rules[direction] !== undefined)
    .map((p) => p.key)
    .sort();

/** The chains that pods with this set of policies share, by name. */
export function comboFragments(policies: readonly PolicyModel[]): readonly { readonly name: string; readonly fragment: Fragment }[] {
  return (['ingress', 'egress'] as const).flatMap((direction) => {
    const keys = policiesFor(direction, policies);
    if (keys.length === 0) return [];
    const name = comboChain(direction, keys);
    const rules = [...keys.map((k) => `jump ${policyChain(direction, k)}`), 'drop'];
    return [{ name, fragment: { chains: [{ name, rules }] } }];
  });
}
