/** Interfaces and routes of the node that k3ts makes, through iproute2. */
import { parseIp } from '#lib/cidr.ts';
import type { Exec } from '#platform/exec.ts';
import { ExecError } from '#platform/exec.ts';

export const dnsLink = 'k3ts-dns0';

export interface DnsLinkOptions {
  readonly addresses: readonly string[];
  /** Routed to the link, so that services can be reached from the node also where there is no default route. */
  readonly serviceCidrs: readonly string[];
  /** What the node calls itself when it speaks to a service. */
  readonly nodeIps: readonly string[];
}

const timeoutMs = 10_000;
const ip = (exec: Exec, args: readonly string[], signal?: AbortSignal) =>
  exec('ip', args, { timeoutMs, ...(signal === undefined ? {} : { signal }) });

const failedWith = (error: unknown, text: string): boolean => error instanceof ExecError && error.stderr.includes(text);

/**
 * Makes the link that carries the cluster DNS addresses: they are local then, so that packets to them go to our server
 * and to nobody else. A dummy link, or a bridge without ports where the kernel has no dummies.
 */
export async function ensureDnsLink(exec: Exec, options: DnsLinkOptions, signal: AbortSignal): Promise<void> {
  const exists = await ip(exec, ['link', 'show', 'dev', dnsLink], signal).then(
    () => true,
    () => false,
  );
  if (!exists) {
    try {
      await ip(exec, ['link', 'add', dnsLink, 'type', 'dummy'], signal);
    } catch (error) {
      if (!failedWith(error, 'Unknown device type')) throw error;
      await ip(exec, ['link', 'add', dnsLink, 'type', 'bridge'], signal);
    }
  }
  await ip(exec, ['link', 'set', dnsLink, 'up'], signal);
  for (const address of options.addresses) {
    const six = parseIp(address)?.family === 6;
    await ip(exec, ['address', 'replace', `${address}/${six ? 128 : 32}`, 'dev', dnsLink, ...(six ? ['nodad'] : [])], signal);
  }
  for (const cidr of options.serviceCidrs) {
    const family = cidr.includes(':') ? 6 : 4;
    const source = options.nodeIps.find((n) => parseIp(n)?.family === family);
    const args = ['route', 'replace', cidr, 'dev', dnsLink, ...(source === undefined ? [] : ['src', source])];
    await ip(exec, [`-${family}`, ...args], signal);
  }
}

/** Removes a link if it is there. */
export async function removeLink(exec: Exec, name: string): Promise<void> {
  try {
    await ip(exec, ['link', 'delete', name]);
  } catch (error) {
    if (!failedWith(error, 'Cannot find device')) throw error;
  }
}
