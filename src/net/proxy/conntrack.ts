/** UDP has no end of connection: what the kernel remembers of endpoints that are gone must be taken out by hand. */
import type { Exec } from '#platform/exec.ts';
import { ExecError } from '#platform/exec.ts';
import type { Family, PortModel } from './model.ts';

/** Arguments of `conntrack -D`, without the family. */
export type Deletion = readonly string[];

const vipsOf = (m: PortModel): string[] => [m.clusterIp, ...m.externalIps, ...m.loadBalancerIps];
const targetsOf = (m: PortModel | undefined): Set<string> => new Set([...(m?.cluster ?? []), ...(m?.local ?? [])].map((t) => t.ip));

/**
 * What to delete when a port changes from one state to another: flows to endpoints that are gone, and, when the first
 * endpoints come (or the service is new), flows that were let pass untranslated before.
 */
export function staleFlows(before: PortModel | undefined, now: PortModel | undefined): Deletion[] {
  const model = now ?? before;
  if (model?.protocol !== 'udp') return [];
  const deletions: Deletion[] = [];
  const old = targetsOf(before);
  const current = targetsOf(now);
  for (const ip of old.difference(current)) {
    for (const vip of vipsOf(model)) deletions.push(['--orig-dst', vip, '--dst-nat', ip]);
    if (model.nodePort !== undefined) deletions.push(['--orig-port-dst', String(model.nodePort), '--dst-nat', ip]);
  }
  if (old.size === 0 && current.size > 0) {
    for (const vip of vipsOf(model)) deletions.push(['--orig-dst', vip, '--orig-port-dst', String(model.port)]);
    if (model.nodePort !== undefined) deletions.push(['--orig-port-dst', String(model.nodePort)]);
  }
  return deletions;
}

/** Runs the deletions. Resolves to false when the conntrack tool is not installed; other failures throw. */
export async function deleteFlows(family: Family, deletions: readonly Deletion[], exec: Exec, signal: AbortSignal): Promise<boolean> {
  for (const args of deletions) {
    try {
      await exec('conntrack', ['-D', '-f', family === 4 ? 'ipv4' : 'ipv6', '-p', 'udp', ...args], { signal, timeoutMs: 10_000 });
    } catch (error) {
      if (error instanceof ExecError && error.code === undefined && error.message.includes('ENOENT')) return false;
      // Exit code 1 with "0 flow entries have been deleted" is the usual case.
      if (!(error instanceof ExecError) || !error.stderr.includes('0 flow entries')) throw error;
    }
  }
  return true;
}
