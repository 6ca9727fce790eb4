/**
 * Routes to the pods of other nodes, straight through those nodes: what works wherever the nodes share a network segment.
 */
import type { Informer } from '#client/informer.ts';
import type { Node } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { backoffMs } from '#lib/backoff.ts';
import { parseCidr, parseIp } from '#lib/cidr.ts';
import type { Clock } from '#platform/clock.ts';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import { messageOf } from '../nft/kernel-table.ts';

/** Marks our routes in the kernel (`ip route show proto 187`), so that we find them again and touch no others. */
export const routeProtocol = '187';

export interface Route {
  readonly cidr: string;
  readonly via: string;
}

/** The routes that the other nodes' objects ask for. */
export function wantedRoutes(nodes: readonly Stored<Node>[], ownName: string): Route[] {
  const routes: Route[] = [];
  for (const node of nodes) {
    if (node.metadata.name === ownName) continue;
    const addresses = (node.status?.addresses ?? []).filter((a) => a.type === 'InternalIP').map((a) => a.address);
    const cidrs = node.spec?.podCIDRs ?? (node.spec?.podCIDR === undefined ? [] : [node.spec.podCIDR]);
    for (const cidr of cidrs) {
      const family = parseCidr(cidr)?.family;
      const via = addresses.find((a) => family !== undefined && parseIp(a)?.family === family);
      if (via !== undefined) routes.push({ cidr, via });
    }
  }
  return routes;
}

export interface RouteDeps {
  readonly nodes: Informer<Node>;
  readonly nodeName: string;
  readonly families: readonly (4 | 6)[];
  readonly exec: Exec;
  readonly clock: Clock;
  readonly log: Logger;
}

const timeoutMs = 10_000;
const gatherMs = 100;
const retry = { baseMs: 1000, maxMs: 60_000 };
const keyOf = (r: Route): string => `${r.cidr} via ${r.via}`;
const familyOf = (cidr: string): string => (cidr.includes(':') ? '-6' : '-4');

/** Keeps the routes as the nodes ask for them, until the signal aborts. Leaves them in place. */
export async function followRoutes(deps: RouteDeps, signal: AbortSignal): Promise<void> {
  await deps.nodes.synced(signal);
  const set = new Map<string, Route>((await routesInKernel(deps, signal)).map((r) => [keyOf(r), r]));
  let wake: (() => void) | undefined;
  let changed = true;
  let failures = 0;
  const touch = (): void => {
    changed = true;
    wake?.();
  };
  const detach = deps.nodes.addHandler({ added: touch, updated: touch, deleted: touch });
  signal.addEventListener('abort', touch, { once: true });
  try {
    while (!signal.aborted) {
      if (!changed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      await deps.clock.sleep(gatherMs, signal);
      changed = false;
      if (await apply(set, deps, signal)) failures = 0;
      else {
        failures++;
        // A neighbour that cannot be reached directly stays so; asking again is for addresses that come up late.
        deps.clock.after(backoffMs(failures, retry), touch);
      }
    }
  } finally {
    detach();
    signal.removeEventListener('abort', touch);
  }
}

/** True when every route is as wanted. */
async function apply(set: Map<string, Route>, deps: RouteDeps, signal: AbortSignal): Promise<boolean> {
  const wanted = new Map(wantedRoutes(deps.nodes.list(), deps.nodeName).map((r) => [keyOf(r), r]));
  let complete = true;
  for (const [key, route] of wanted) {
    if (set.has(key)) continue;
    try {
      await ip(deps, [familyOf(route.cidr), 'route', 'replace', route.cidr, 'via', route.via, 'proto', routeProtocol], signal);
      set.set(key, route);
      deps.log.info('pods of another node are reached directly', { ...route });
    } catch (error) {
      if (signal.aborted) throw error;
      complete = false;
      deps.log.warn('no direct way to the pods of another node', { ...route, why: messageOf(error) });
    }
  }
  const cidrs = new Set([...wanted.values()].map((r) => r.cidr));
  for (const [key, route] of set) {
    if (wanted.has(key)) continue;
    set.delete(key);
    // Replaced by the route above where another node has the network now.
    if (!cidrs.has(route.cidr))
      await ip(deps, [familyOf(route.cidr), 'route', 'delete', route.cidr, 'proto', routeProtocol], signal).catch(() => undefined);
  }
  return complete;
}

async function routesInKernel(deps: RouteDeps, signal: AbortSignal): Promise<Route[]> {
  const routes: Route[] = [];
  for (const family of deps.families) {
    const { stdout } = await ip(deps, [`-${family}`, 'route', 'show', 'proto', routeProtocol], signal);
    for (const line of stdout.split('\n')) {
      const m = /^(\S+) via (\S+)/.exec(line);
      if (m?.[1] !== undefined && m[2] !== undefined) routes.push({ cidr: m[1], via: m[2] });
    }
  }
  return routes;
}

/** Removes all routes that k3ts made. */
export async function removeRoutes(exec: Exec): Promise<void> {
  for (const family of ['-4', '-6']) await exec('ip', [family, 'route', 'flush', 'proto', routeProtocol], { timeoutMs });
}

const ip = (deps: Pick<RouteDeps, 'exec'>, args: readonly string[], signal: AbortSignal) => deps.exec('ip', args, { signal, timeoutMs });
