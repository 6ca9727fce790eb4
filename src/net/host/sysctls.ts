/** Kernel settings that pod networking rests on. */
import { access, readFile, writeFile } from 'node:fs/promises';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';

export interface SysctlResult {
  /** Bridged frames pass through nftables. */
  readonly bridgeNetfilter: boolean;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

export interface SysctlDeps {
  readonly exec: Exec;
  readonly log: Logger;
  readonly root?: string;
}

/** Sets what is needed, leaving alone what is right already. Throws when forwarding cannot be switched on. */
export async function applySysctls(families: ReadonlySet<4 | 6>, deps: SysctlDeps): Promise<SysctlResult> {
  const { exec, log, root = '/proc/sys/net' } = deps;
  // The one module that the kernel does not load by itself when it is first used.
  if (!(await exists(`${root}/bridge`))) {
    await exec('modprobe', ['br_netfilter'], { timeoutMs: 10_000 }).catch((error: unknown) => log.debug('module not loaded', { error }));
  }
  const set = async (path: string, value: string, required: boolean): Promise<boolean> => {
    const file = `${root}/${path}`;
    try {
      if ((await readFile(file, 'utf8')).trim() === value) return true;
      await writeFile(file, value);
      return true;
    } catch (error) {
      if (required) throw new Error(`cannot set net.${path.replaceAll('/', '.')} to ${value}`, { cause: error });
      log.debug('sysctl not set', { path, error });
      return false;
    }
  };
  if (families.has(4)) {
    await set('ipv4/ip_forward', '1', true);
    // For node ports on 127.0.0.1; the table keeps the network from using it.
    await set('ipv4/conf/all/route_localnet', '1', false);
  }
  if (families.has(6)) await set('ipv6/conf/all/forwarding', '1', true);
  const bridge4 = await set('bridge/bridge-nf-call-iptables', '1', false);
  const bridge6 = await set('bridge/bridge-nf-call-ip6tables', '1', false);
  return { bridgeNetfilter: (!families.has(4) || bridge4) && (!families.has(6) || bridge6) };
}
