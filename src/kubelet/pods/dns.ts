/** What a pod's /etc/resolv.conf says: pkg/kubelet/network/dns upstream. */
import type { Pod } from '#kube/generated/core-v1.ts';
import type { DNSConfig } from '../cri/generated/cri.ts';

export interface ClusterDns {
  /** Empty where the cluster has no DNS service: pods then get the node's. */
  readonly servers: readonly string[];
  readonly domain: string;
}

const maxServers = 3;
const maxSearches = 32;
const maxSearchChars = 2048;

/** Reads a resolv.conf as libc does. */
export function parseResolvConf(content: string): DNSConfig {
  const servers: string[] = [];
  let searches: string[] = [];
  let options: string[] = [];
  for (const line of content.split('\n')) {
    const [keyword, ...rest] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && rest[0] !== undefined) servers.push(rest[0]);
    else if (keyword === 'search') searches = rest.filter((s) => s !== '.').map((s) => s.replace(/\.$/, ''));
    else if (keyword === 'options') options = rest;
  }
  return { servers, searches, options };
}

const unique = (list: readonly string[]): string[] => [...new Set(list)];

function limited(config: DNSConfig): DNSConfig {
  const searches: string[] = [];
  let chars = 0;
  for (const search of config.searches) {
    chars += search.length + (searches.length === 0 ? 0 : 1);
    if (searches.length === maxSearches || chars > maxSearchChars) break;
    searches.push(search);
  }
  return { servers: config.servers.slice(0, maxServers), searches, options: config.options };
}

/** Options given by the pod replace those of the same name. */
function mergeOptions(base: readonly string[], own: readonly { readonly name?: string; readonly value?: string }[]): string[] {
  const merged = new Map<string, string>();
  for (const option of base) {
    const [name = '', value = ''] = option.split(':');
    merged.set(name, value);
  }
  for (const { name = '', value = '' } of own) merged.set(name, value);
  return [...merged].map(([name, value]) => (value === '' ? name : `${name}:${value}`));
}

/** `host` is the node's own resolv.conf, parsed. */
export function podDns(pod: Pod, cluster: ClusterDns, host: DNSConfig): DNSConfig {
  const { dnsPolicy = 'ClusterFirst', hostNetwork = false, dnsConfig } = pod.spec ?? {};
  const wantsCluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork);
  let base: DNSConfig = host;
  if (dnsPolicy === 'None') base = { servers: [], searches: [], options: [] };
  else if (wantsCluster && cluster.servers.length > 0) {
    const { domain } = cluster;
    const own = domain === '' ? [] : [`${pod.metadata.namespace}.svc.${domain}`, `svc.${domain}`, domain];
    base = { servers: cluster.servers, searches: unique([...own, ...host.searches]), options: ['ndots:5'] };
  }
  return limited({
    servers: unique([...base.servers, ...(dnsConfig?.nameservers ?? [])]),
    searches: unique([...base.searches, ...(dnsConfig?.searches ?? [])]),
    options: mergeOptions(base.options, dnsConfig?.options ?? []),
  });
}
