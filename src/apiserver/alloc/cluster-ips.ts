/** Addresses of services, one range per family. */
import { type Cidr, cidrAddress, cidrSize, formatCidr, formatIp, parseIp } from '#lib/cidr.ts';
import type { Random } from '#platform/random.ts';
import { createRange } from './range.ts';

export type Family = 'IPv4' | 'IPv6';

export interface ClusterIps {
  readonly family: Family;
  readonly cidr: Cidr;
  /** The first address after the network's own. */
  readonly first: string;
  /** Undefined: taken. Else why it cannot be had, in upstream's words. */
  readonly take: (ip: string) => string | undefined;
  readonly takeAny: () => string | undefined;
  readonly release: (ip: string) => void;
}

/** No more than this many addresses of a network are used: upstream's limit for IPv6. */
const maxSize = 65_536;

/** Upstream's split: min(max(16, size / 16), 256) addresses for those that are asked for by name. */
const staticBandOf = (size: number): number => Math.min(Math.max(16, Math.floor(size / 16)), 256, Math.floor(size / 2));

export function createClusterIps(cidr: Cidr, random: Random): ClusterIps {
  const total = Number(cidrSize(cidr) < BigInt(maxSize) ? cidrSize(cidr) : BigInt(maxSize));
  // The network's own address, and for IPv4 its broadcast address, are not handed out.
  const size = Math.max(0, total - (cidr.family === 4 ? 2 : 1));
  const range = createRange(size, staticBandOf(size), random);
  const offsetOf = (ip: string): number | undefined => {
    const parsed = parseIp(ip);
    if (parsed === undefined || parsed.family !== cidr.family) return undefined;
    const offset = Number(parsed.value - cidr.base) - 1;
    return offset >= 0 && offset < size ? offset : undefined;
  };
  return {
    family: cidr.family === 4 ? 'IPv4' : 'IPv6',
    cidr,
    first: cidrAddress(cidr, 1n),
    take: (ip) => {
      const offset = offsetOf(ip);
      if (offset === undefined) return `the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${formatCidr(cidr)}`;
      return range.take(offset) ? undefined : 'provided IP is already allocated';
    },
    takeAny: () => {
      const offset = range.takeAny();
      return offset === undefined ? undefined : cidrAddress(cidr, BigInt(offset) + 1n);
    },
    release: (ip) => {
      const offset = offsetOf(ip);
      if (offset !== undefined) range.release(offset);
    },
  };
}

/** The one text of an address that others compare with. */
export function canonicalIp(ip: string): string {
  const parsed = parseIp(ip);
  return parsed === undefined ? ip : formatIp(parsed.family, parsed.value);
}

export const familyOf = (ip: string): Family => (ip.includes(':') ? 'IPv6' : 'IPv4');
