/** Addresses and networks, IPv4 and IPv6, as bigints. */

export interface Cidr {
  readonly family: 4 | 6;
  /** The network's first address. */
  readonly base: bigint;
  readonly prefix: number;
}

const bitsOf = (family: 4 | 6): number => (family === 4 ? 32 : 128);

/** The address as a number, or undefined when the text is no address. Leading zeros are refused, as in Go. */
export function parseIp(text: string): { readonly family: 4 | 6; readonly value: bigint } | undefined {
  const v4 = parseV4(text);
  if (v4 !== undefined) return { family: 4, value: v4 };
  const v6 = parseV6(text);
  return v6 === undefined ? undefined : { family: 6, value: v6 };
}

function parseV4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256n + BigInt(part);
  }
  return value;
}

function parseV6(text: string): bigint | undefined {
  if (!/^[0-9a-fA-F:.]+$/.test(text)) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = (half: string): bigint[] | undefined => {
    if (half === '') return [];
    const list: bigint[] = [];
    const parts = half.split(':');
    for (const [i, part] of parts.entries()) {
      if (part.includes('.')) {
        const v4 = i === parts.length - 1 ? parseV4(part) : undefined;
        if (v4 === undefined) return undefined;
        list.push(v4 >> 16n, v4 & 0xffffn);
      } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) list.push(BigInt(`0x${part}`));
      else return undefined;
    }
    return list;
  };
  const head = groups(halves[0] ?? '');
  const tail = halves.length === 2 ? groups(halves[1] ?? '') : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  return [...head, ...Array.from({ length: missing }, () => 0n), ...tail].reduce((v, g) => (v << 16n) | g, 0n);
}

/** The canonical text of an address (RFC 5952 for IPv6). */
export function formatIp(family: 4 | 6, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((s) => String((value >> s) & 255n)).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  let best = { start: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let j = i;
    while (j < 8 && groups[j] === '0') j++;
    if (j - i > best.length) best = { start: i, length: j - i };
  }
  if (best.start < 0) return groups.join(':');
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`;
}

/** Parses "10.42.0.0/16"; host bits are cleared. Undefined when the text is no network. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const ip = parseIp(text.slice(0, slash));
  const suffix = text.slice(slash + 1);
  if (ip === undefined || !/^(0|[1-9]\d{0,2})$/.test(suffix)) return undefined;
  const prefix = Number(suffix);
  const bits = bitsOf(ip.family);
  if (prefix > bits) return undefined;
  const host = BigInt(bits - prefix);
  return { family: ip.family, base: (ip.value >> host) << host, prefix };
}

export const formatCidr = (c: Cidr): string => `${formatIp(c.family, c.base)}/${c.prefix}`;

/** How many addresses the network holds. */
export const cidrSize = (c: Cidr): bigint => 1n << BigInt(bitsOf(c.family) - c.prefix);

export function cidrContains(c: Cidr, ip: string): boolean {
  const parsed = parseIp(ip);
  return parsed !== undefined && parsed.family === c.family && parsed.value >= c.base && parsed.value < c.base + cidrSize(c);
}

/** The address at an offset from the network's first one. */
export const cidrAddress = (c: Cidr, offset: bigint): string => formatIp(c.family, c.base + offset);

/** The n-th subnet of the given prefix length. */
export function cidrSubnet(c: Cidr, prefix: number, n: bigint): Cidr {
  return { family: c.family, base: c.base + (n << BigInt(bitsOf(c.family) - prefix)), prefix };
}

export const cidrsOverlap = (a: Cidr, b: Cidr): boolean =>
  a.family === b.family && a.base < b.base + cidrSize(b) && b.base < a.base + cidrSize(a);
