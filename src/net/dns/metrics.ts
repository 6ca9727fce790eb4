import type { DnsCache } from './cache.ts';
import type { DnsCounters } from './responder.ts';
import { codes } from './wire.ts';

export interface DnsFigures {
  readonly counters: Readonly<DnsCounters>;
  readonly cache: Pick<DnsCache, 'size' | 'bytes'>;
  readonly names: number;
  readonly inFlight: number;
}

const nameOfCode = new Map<number, string>(Object.entries(codes).map(([name, code]) => [code, name]));

/** The figures in Prometheus' text format; names follow CoreDNS' where it has them. */
export function dnsMetrics({ counters, cache, names, inFlight }: DnsFigures): string {
  const lines: string[] = [];
  const metric = (name: string, type: 'counter' | 'gauge', help: string, value: number): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, `${name} ${value}`);
  };
  metric('coredns_dns_requests_total', 'counter', 'DNS requests received.', counters.requests);
  metric('coredns_cache_hits_total', 'counter', 'Answers out of the cache.', counters.cacheHits);
  metric('coredns_cache_misses_total', 'counter', 'Questions not in the cache.', counters.cacheMisses);
  metric('coredns_cache_entries', 'gauge', 'Answers in the cache.', cache.size);
  metric('k3ts_dns_cache_bytes', 'gauge', 'Size of the answers in the cache.', cache.bytes);
  metric('coredns_forward_requests_total', 'counter', 'Questions put to the resolvers of the host.', counters.forwarded);
  metric('k3ts_dns_forward_in_flight', 'gauge', 'Questions waiting for the resolvers of the host.', inFlight);
  metric('k3ts_dns_failures_total', 'counter', 'Questions that could not be answered.', counters.failures);
  metric('k3ts_dns_names', 'gauge', 'Names in the cluster zone.', names);
  lines.push('# HELP coredns_dns_responses_total DNS responses sent.', '# TYPE coredns_dns_responses_total counter');
  for (const [code, count] of counters.responses) {
    lines.push(`coredns_dns_responses_total{rcode="${nameOfCode.get(code) ?? code}"} ${count}`);
  }
  return `${lines.join('\n')}\n`;
}
