/** Cluster DNS as a running part. */
import { backoffMs } from '#lib/backoff.ts';
import type { Cidr } from '#lib/cidr.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import { followServices, type ZoneSources } from './index-informers.ts';
import { dnsMetrics } from './metrics.ts';
import { hostResolvers } from './resolv-conf.ts';
import { createResponder } from './responder.ts';
import { type DnsServer, startDnsServer } from './server.ts';
import { createUpstream } from './upstream.ts';
import { Zone } from './zone.ts';

export interface ClusterDnsDeps {
  /** Such as "cluster.local". */
  readonly zone: string;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly ownNetworks: readonly Cidr[];
  readonly resolvConf: string;
  readonly sources: ZoneSources;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface ClusterDns {
  /** Serves until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly notReady: () => string | undefined;
  readonly metrics: () => string;
}

const retry = { baseMs: 500, maxMs: 10_000 };

export function createClusterDns(deps: ClusterDnsDeps): ClusterDns {
  const log = deps.log.child('dns');
  const zone = new Zone(deps.zone, deps.addresses);
  let zoneReady = false;
  let server: DnsServer | undefined;
  const upstream = createUpstream({
    clock: deps.clock,
    random: deps.random,
    resolvers: hostResolvers(deps.resolvConf, new Set(deps.addresses), deps.clock),
  });
  const responder = createResponder({
    zone,
    zoneReady: () => zoneReady,
    ownNetworks: deps.ownNetworks,
    upstream,
    clock: deps.clock,
    random: deps.random,
  });
  const open = async (signal: AbortSignal): Promise<DnsServer> => {
    for (let failures = 1; ; failures++) {
      try {
        return await startDnsServer({ addresses: deps.addresses, port: deps.port, responder, log });
      } catch (error) {
        log.error('cannot open the DNS sockets, will retry', { addresses: deps.addresses, error });
        await deps.clock.sleep(backoffMs(failures, retry), signal);
      }
    }
  };
  return {
    notReady: () => (server === undefined ? 'the DNS sockets are not open' : zoneReady ? undefined : 'the DNS zone is not filled'),
    metrics: () => dnsMetrics({ counters: responder.counters, cache: responder.cache, names: zone.size, inFlight: upstream.inFlight() }),
    run: async (signal) => {
      const { services, slices, nodes } = deps.sources;
      const detach = followServices(zone, deps.sources);
      try {
        server = await open(signal);
        await Promise.all([services.synced(signal), slices.synced(signal), nodes.synced(signal)]);
        zoneReady = true;
        log.info('serving cluster DNS', { addresses: deps.addresses, names: zone.size });
        await new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          else signal.addEventListener('abort', () => resolve(), { once: true });
        });
      } finally {
        detach();
        await server?.close();
        server = undefined;
      }
    },
  };
}
