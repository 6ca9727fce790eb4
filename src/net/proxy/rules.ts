/**
 * The table's rules. Packets find their service by one map lookup and their endpoint by another, so the cost of a packet
 * does not depend on how many services there are; the order of hooks and verdicts is that of kube-proxy's nftables mode.
 */
import { createHash } from 'node:crypto';
import type { ChainDef, ElementDef, Fragment, SetDef } from '../nft/table.ts';
import type { Family, PortModel, Target } from './model.ts';

export interface BaseOptions {
  readonly family: Family;
  /** Pod networks of this family: what comes from there needs no masquerade on its way to a service. */
  readonly clusterCidrs: readonly string[];
  /** The bridge's own traffic passes through these rules (br_netfilter). Where not, answers must be forced back through the node. */
  readonly bridgeNetfilter: boolean;
}

/** Packets with this mark (kube-proxy's) are masqueraded when they leave. */
const mark = '0x4000';

const addressType = (family: Family): string => (family === 4 ? 'ipv4_addr' : 'ipv6_addr');
const ipOf = (family: Family): string => (family === 4 ? 'ip' : 'ip6');

/** What is there whatever services there are. */
export function baseFragment(options: BaseOptions): Fragment {
  const { family, clusterCidrs } = options;
  const ip = ipOf(family);
  const address = addressType(family);
  const verdict = `type ${address} . inet_proto . inet_service : verdict;`;
  const nodeVerdict = 'type inet_proto . inet_service : verdict;';
  const byService = (map: string): string => `${ip} daddr . meta l4proto . th dport vmap @${map}`;
  const byNodePort = (map: string): string =>
    `fib daddr type local ${family === 6 ? 'ip6 daddr != ::1 ' : ''}meta l4proto . th dport vmap @${map}`;
  const noEndpoint = [`ct state new ${byService('no-endpoint-services')}`, `ct state new ${byNodePort('no-endpoint-nodeports')}`];
  const sets: SetDef[] = [
    { name: 'service-ips', kind: 'map', spec: verdict },
    { name: 'service-nodeports', kind: 'map', spec: nodeVerdict },
    { name: 'no-endpoint-services', kind: 'map', spec: verdict },
    { name: 'no-endpoint-nodeports', kind: 'map', spec: nodeVerdict },
    { name: 'firewall-ips', kind: 'map', spec: verdict },
    { name: 'cluster-ips', kind: 'set', spec: `type ${address};` },
    { name: 'hairpin', kind: 'set', spec: `type ${address} . ${address};` },
  ];
  const chains: ChainDef[] = [
    { name: 'mark-for-masquerade', rules: [`meta mark set meta mark or ${mark}`] },
    { name: 'refuse', rules: ['reject'] },
    { name: 'services', rules: [byService('service-ips'), byNodePort('service-nodeports')] },
    {
      name: 'filter-prerouting',
      hook: 'type filter hook prerouting priority -110;',
      rules: [
        // Node ports answer on 127.0.0.1 too, which takes route_localnet: the network must not reach it that way.
        ...(family === 4 ? ['iif != "lo" ip daddr 127.0.0.0/8 drop'] : []),
        `ct state new ${byService('firewall-ips')}`,
      ],
    },
    { name: 'filter-input', hook: 'type filter hook input priority -110;', rules: noEndpoint },
    {
      name: 'filter-forward',
      hook: 'type filter hook forward priority -110;',
      rules: [...noEndpoint, `ct state new ${ip} daddr @cluster-ips goto refuse`],
    },
    {
      name: 'filter-output',
      hook: 'type filter hook output priority -110;',
      rules: [...noEndpoint, `ct state new ${byService('firewall-ips')}`],
    },
    {
      name: 'filter-output-after-nat',
      hook: 'type filter hook output priority -90;',
      rules: [`ct state new ${ip} daddr @cluster-ips goto refuse`],
    },
    { name: 'nat-prerouting', hook: 'type nat hook prerouting priority -100;', rules: ['jump services'] },
    { name: 'nat-output', hook: 'type nat hook output priority -100;', rules: ['jump services'] },
    { name: 'nat-postrouting', hook: 'type nat hook postrouting priority 100;', rules: postrouting(options, ip, clusterCidrs) },
  ];
  return { sets, chains };
}

function postrouting(options: BaseOptions, ip: string, clusterCidrs: readonly string[]): string[] {
  const rules = [
    `meta mark and ${mark} != 0 meta mark set meta mark xor ${mark} masquerade fully-random`,
    `${ip} saddr . ${ip} daddr @hairpin ct status dnat masquerade fully-random`,
  ];
  if (clusterCidrs.length === 0) return rules;
  const pods = `{ ${clusterCidrs.join(', ')} }`;
  if (!options.bridgeNetfilter) rules.push(`${ip} saddr ${pods} ${ip} daddr ${pods} ct status dnat masquerade fully-random`);
  const multicast = options.family === 4 ? '224.0.0.0/4' : 'ff00::/8';
  rules.push(`${ip} saddr ${pods} ${ip} daddr != ${pods} ${ip} daddr != ${multicast} masquerade fully-random`);
  return rules;
}

/** nft takes names up to 128 bytes, of letters, digits and few signs; the hash keeps cut ones apart. */
const chainName = (kind: string, id: string): string =>
  `${kind}-${createHash('sha256').update(id).digest('hex').slice(0, 10)}-${id
    .replaceAll(/[^a-zA-Z0-9/._-]/g, '.')
    .slice(0, 90)
    .replace(/\/$/, '')}`;

const dnatTo = (t: Target, family: Family): string => (family === 4 ? `${t.ip}:${t.port}` : `[${t.ip}]:${t.port}`);

/** A chain that ends at one of the targets. */
function spread(name: string, model: PortModel, targets: readonly Target[], family: Family, before: readonly string[]): ChainDef {
  const [only] = targets;
  const rules = [...before];
  if (targets.length === 1 && only !== undefined) rules.push(`meta l4proto ${model.protocol} dnat to ${dnatTo(only, family)}`);
  else if (targets.length > 1) {
    const map = targets.map((t, i) => `${i} : ${t.ip} . ${t.port}`).join(', ');
    rules.push(`meta l4proto ${model.protocol} dnat to numgen random mod ${targets.length} map { ${map} }`);
  }
  return { name, rules };
}

interface Parts {
  readonly sets: SetDef[];
  readonly chains: ChainDef[];
  readonly elements: ElementDef[];
}

/** With session affinity every endpoint has a chain that remembers the client, and clients are looked for there first. */
function spreadWithAffinity(
  name: string,
  model: PortModel,
  targets: readonly Target[],
  family: Family,
  before: readonly string[],
  parts: Parts,
): ChainDef {
  const ip = ipOf(family);
  const stays: string[] = [];
  const choices: string[] = [];
  for (const t of targets) {
    const id = `${model.id}/${t.ip}/${t.port}`;
    const endpoint = chainName('ep', id);
    // The timeout is in the name, as a set cannot change it.
    const clients = chainName(`aff${model.affinitySeconds ?? 0}`, id);
    if (!parts.sets.some((s) => s.name === clients)) {
      const spec = `type ${addressType(family)}; flags dynamic,timeout; timeout ${model.affinitySeconds ?? 0}s;`;
      parts.sets.push({ name: clients, kind: 'set', spec });
      const rules = [`update @${clients} { ${ip} saddr }`, `meta l4proto ${model.protocol} dnat to ${dnatTo(t, family)}`];
      parts.chains.push({ name: endpoint, rules });
    }
    stays.push(`${ip} saddr @${clients} goto ${endpoint}`);
    choices.push(`${choices.length} : goto ${endpoint}`);
  }
  const choose = `numgen random mod ${targets.length} vmap { ${choices.join(', ')} }`;
  return { name, rules: [...before, ...stays, ...(targets.length === 0 ? [] : [choose])] };
}

/** What one service port needs in the table. */
export function portFragment(model: PortModel, base: BaseOptions): Fragment {
  const { family, clusterCidrs } = base;
  const ip = ipOf(family);
  const parts: Parts = { sets: [], chains: [], elements: [] };
  const chain = (kind: string, targets: readonly Target[], before: readonly string[]): string => {
    const name = chainName(kind, model.id);
    const def =
      model.affinitySeconds === undefined
        ? spread(name, model, targets, family, before)
        : spreadWithAffinity(name, model, targets, family, before, parts);
    parts.chains.push(def);
    return name;
  };
  const fromOutside = clusterCidrs.length === 0 ? [] : [`${ip} saddr != { ${clusterCidrs.join(', ')} } jump mark-for-masquerade`];
  const clusterChain = model.cluster.length > 0 ? chain('svc', model.cluster, fromOutside) : undefined;
  const needsLocal = (model.internalLocal || model.externalLocal) && model.local.length > 0;
  const localChain = needsLocal ? chain('loc', model.local, []) : undefined;

  const reach = (address: string, port: number): string => `${address} . ${model.protocol} . ${port}`;
  const none = model.hasAny ? 'drop' : 'goto refuse';
  internalEntry(model, parts, { clusterChain, localChain, fromOutside, none, reach });
  externalEntries(model, parts, { clusterChain, localChain, none, reach, ip, clusterCidrs });
  const local = new Set([...model.cluster, ...model.local].filter((t) => t.local).map((t) => t.ip));
  for (const t of local) parts.elements.push({ set: 'hairpin', key: `${t} . ${t}` });
  return parts;
}

interface Entry {
  readonly clusterChain: string | undefined;
  readonly localChain: string | undefined;
  /** Verdict where there is nobody to send to. */
  readonly none: string;
  readonly reach: (address: string, port: number) => string;
}

function internalEntry(model: PortModel, parts: Parts, entry: Entry & { readonly fromOutside: readonly string[] }): void {
  parts.elements.push({ set: 'cluster-ips', key: model.clusterIp });
  const key = entry.reach(model.clusterIp, model.port);
  if (!model.internalLocal && entry.clusterChain !== undefined) {
    parts.elements.push({ set: 'service-ips', key, value: `goto ${entry.clusterChain}` });
  } else if (model.internalLocal && entry.localChain !== undefined) {
    const name = chainName('int', model.id);
    parts.chains.push({ name, rules: [...entry.fromOutside, `goto ${entry.localChain}`] });
    parts.elements.push({ set: 'service-ips', key, value: `goto ${name}` });
  } else parts.elements.push({ set: 'no-endpoint-services', key, value: entry.none });
}

function externalEntries(
  model: PortModel,
  parts: Parts,
  entry: Entry & { readonly ip: string; readonly clusterCidrs: readonly string[] },
): void {
  const { nodePort, port } = model;
  const addresses = [...new Set([...model.externalIps, ...model.loadBalancerIps])];
  if (addresses.length === 0 && nodePort === undefined) return;
  const { clusterChain, localChain, ip, clusterCidrs } = entry;
  if (clusterChain !== undefined) {
    const name = chainName('ext', model.id);
    const rules: string[] = [];
    if (!model.externalLocal) rules.push('jump mark-for-masquerade', `goto ${clusterChain}`);
    else {
      // From inside the cluster, and from the node itself, the policy does not apply.
      if (clusterCidrs.length > 0) rules.push(`${ip} saddr { ${clusterCidrs.join(', ')} } goto ${clusterChain}`);
      rules.push('fib saddr type local jump mark-for-masquerade', `fib saddr type local goto ${clusterChain}`);
      // Without endpoints here the packet stays as it is and meets `notHere` in the filter hooks.
      if (localChain !== undefined) rules.push(`goto ${localChain}`);
    }
    parts.chains.push({ name, rules });
    for (const a of addresses) parts.elements.push({ set: 'service-ips', key: entry.reach(a, port), value: `goto ${name}` });
    if (nodePort !== undefined)
      parts.elements.push({ set: 'service-nodeports', key: `${model.protocol} . ${nodePort}`, value: `goto ${name}` });
  } else {
    for (const a of addresses) parts.elements.push({ set: 'no-endpoint-services', key: entry.reach(a, port), value: entry.none });
    if (nodePort !== undefined)
      parts.elements.push({ set: 'no-endpoint-nodeports', key: `${model.protocol} . ${nodePort}`, value: entry.none });
  }
  if (model.externalLocal && clusterChain !== undefined && localChain === undefined) notHere(model, parts, entry, addresses);
  if (model.sourceRanges.length > 0 && model.loadBalancerIps.length > 0) {
    const name = chainName('fw', model.id);
    parts.chains.push({ name, rules: [`${ip} saddr { ${model.sourceRanges.join(', ')} } return`, 'drop'] });
    for (const a of model.loadBalancerIps) parts.elements.push({ set: 'firewall-ips', key: entry.reach(a, port), value: `goto ${name}` });
  }
}

/** Under the policy Local, a node without endpoints drops what comes from outside, before translation. */
function notHere(
  model: PortModel,
  parts: Parts,
  entry: Entry & { readonly ip: string; readonly clusterCidrs: readonly string[] },
  addresses: readonly string[],
): void {
  const name = chainName('nil', model.id);
  const rules = [
    ...(entry.clusterCidrs.length > 0 ? [`${entry.ip} saddr { ${entry.clusterCidrs.join(', ')} } return`] : []),
    'fib saddr type local return',
    'drop',
  ];
  parts.chains.push({ name, rules });
  for (const a of addresses) parts.elements.push({ set: 'no-endpoint-services', key: entry.reach(a, model.port), value: `goto ${name}` });
  if (model.nodePort !== undefined) {
    parts.elements.push({ set: 'no-endpoint-nodeports', key: `${model.protocol} . ${model.nodePort}`, value: `goto ${name}` });
  }
}
