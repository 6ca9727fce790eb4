/** The CEL functions on URLs, IP addresses and CIDR ranges (k8s.io/apiserver pkg/cel/library urls, ip, cidr). */
import { type Cidr, cidrContains, formatIp, parseCidr, parseIp } from '#lib/cidr.ts';
import { CelValueError, celMap, defineNamespace, type Library } from './cel-library.ts';

interface UrlParts {
  readonly scheme: string;
  readonly hostname: string;
  readonly port: string;
  readonly path: string;
  readonly query: string;
}

class Url {
  readonly text: string;
  readonly parts: UrlParts;
  constructor(text: string, parts: UrlParts) {
    this.text = text;
    this.parts = parts;
  }
  equals(other: unknown): boolean {
    return other instanceof Url && other.text === this.text;
  }
}

const urlPattern = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s;

/** An absolute URI or an absolute path: what Go's url.ParseRequestURI takes. */
function parseUrl(text: string): UrlParts | undefined {
  const m = urlPattern.exec(text);
  // Control characters and spaces are never legal; '%' must begin an escape.
  if (m === null || /\p{Cc}/u.test(text) || /%(?![0-9a-fA-F]{2})/.test(text)) return undefined;
  const [, scheme = '', authority, path = '', query = ''] = m;
  if (scheme === '' && !path.startsWith('/')) return undefined;
  if (scheme === '' && authority !== undefined && !text.startsWith('//')) return undefined;
  const host = (authority ?? '').replace(/^.*@/, '');
  const h = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(host);
  if (h === null) return undefined;
  const hostname = h[1] ?? '';
  if (hostname.startsWith('[') && parseIp(hostname.slice(1, -1).replace(/%25.*$/, '')) === undefined) return undefined;
  if (!hostname.startsWith('[') && /[\s\\<>"^`{}|]/.test(hostname)) return undefined;
  return { scheme: scheme.toLowerCase(), hostname, port: h[2] ?? '', path, query };
}

/** Whether a text is an absolute URI or an absolute path. */
export const isRequestUri = (text: string): boolean => parseUrl(text) !== undefined;

const bare = (hostname: string): string => (hostname.startsWith('[') ? hostname.slice(1, -1) : hostname);

function queryMap(query: string): Record<string, unknown> {
  const out = new Map<string, string[]>();
  for (const [key, value] of new URLSearchParams(query)) {
    const values = out.get(key);
    if (values === undefined) out.set(key, [value]);
    else values.push(value);
  }
  return celMap(out);
}

function escapedPath(path: string): string {
  return path.replaceAll(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/gu, (c) => encodeURIComponent(c));
}

function registerUrls({ define, environment }: Library): void {
  environment.registerType('kubernetes.URL', Url as never);
  define('url(string): kubernetes.URL', (text: string) => {
    const parts = parseUrl(text);
    if (parts === undefined)
      throw new CelValueError(`URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`);
    return new Url(text, parts);
  });
  define('isURL(string): bool', isRequestUri);
  define('kubernetes.URL.getScheme(): string', (u: Url) => u.parts.scheme);
  define('kubernetes.URL.getHost(): string', (u: Url) => (u.parts.port === '' ? u.parts.hostname : `${u.parts.hostname}:${u.parts.port}`));
  define('kubernetes.URL.getHostname(): string', (u: Url) => bare(u.parts.hostname));
  define('kubernetes.URL.getPort(): string', (u: Url) => u.parts.port);
  define('kubernetes.URL.getEscapedPath(): string', (u: Url) => escapedPath(u.parts.path));
  define('kubernetes.URL.getQuery(): map<string, list<string>>', (u: Url) => queryMap(u.parts.query));
}

type Address = NonNullable<ReturnType<typeof parseIp>>;

class Ip {
  readonly address: Address;
  constructor(address: Address) {
    this.address = address;
  }
  toString(): string {
    return formatIp(this.address.family, this.address.value);
  }
  celSize(): number {
    return this.address.family === 4 ? 4 : 16;
  }
  equals(other: unknown): boolean {
    return other instanceof Ip && other.address.family === this.address.family && other.address.value === this.address.value;
  }
}

function ipOf(text: string): Ip {
  const address = strictIp(text);
  if (address === undefined) throw new CelValueError(`IP Address ${JSON.stringify(text)} parse error during conversion from string`);
  return new Ip(address);
}

/** No zones, no IPv4 addresses in IPv6 form, no leading zeros. */
function strictIp(text: string): Address | undefined {
  if (text.includes('%') || /(?:^|\.)0\d/.test(text) || (text.includes(':') && text.includes('.'))) return undefined;
  return parseIp(text);
}

/** The first `count` bits of an address. */
const bits = (a: Address, count: number): bigint => a.value >> BigInt((a.family === 4 ? 32 : 128) - count);

const is = {
  unspecified: (a: Address) => a.value === 0n,
  loopback: (a: Address) => (a.family === 4 ? bits(a, 8) === 127n : a.value === 1n),
  linkLocalMulticast: (a: Address) => (a.family === 4 ? bits(a, 24) === 0xe00000n : bits(a, 16) === 0xff02n),
  linkLocalUnicast: (a: Address) => (a.family === 4 ? bits(a, 16) === 0xa9fen : bits(a, 10) === 0x3fan),
  multicast: (a: Address) => (a.family === 4 ? bits(a, 4) === 0xen : bits(a, 8) === 0xffn),
  broadcast: (a: Address) => a.family === 4 && a.value === 0xffffffffn,
};
const isGlobalUnicast = (a: Address): boolean =>
  !is.unspecified(a) && !is.loopback(a) && !is.multicast(a) && !is.linkLocalUnicast(a) && !is.broadcast(a);

function registerIps({ define, environment }: Library): void {
  environment.registerType('net.IP', Ip as never);
  defineNamespace(environment, 'ip');
  define('ip(string): net.IP', ipOf);
  define('isIP(string): bool', (text: string) => strictIp(text) !== undefined);
  define('ipNamespace.isCanonical(string): bool', (_: object, text: string) => ipOf(text).toString() === text);
  define('string(net.IP): string', (a: Ip) => a.toString());
  define('net.IP.family(): int', (a: Ip) => BigInt(a.address.family));
  define('net.IP.isUnspecified(): bool', (a: Ip) => is.unspecified(a.address));
  define('net.IP.isLoopback(): bool', (a: Ip) => is.loopback(a.address));
  define('net.IP.isLinkLocalMulticast(): bool', (a: Ip) => is.linkLocalMulticast(a.address));
  define('net.IP.isLinkLocalUnicast(): bool', (a: Ip) => is.linkLocalUnicast(a.address));
  define('net.IP.isGlobalUnicast(): bool', (a: Ip) => isGlobalUnicast(a.address));
}

class Range {
  readonly address: Address;
  readonly cidr: Cidr;
  constructor(address: Address, cidr: Cidr) {
    this.address = address;
    this.cidr = cidr;
  }
  toString(): string {
    return `${formatIp(this.address.family, this.address.value)}/${this.cidr.prefix}`;
  }
  celSize(): number {
    return Math.ceil(this.cidr.prefix / 8);
  }
  equals(other: unknown): boolean {
    return other instanceof Range && other.toString() === this.toString();
  }
}

function parseRange(text: string): Range | undefined {
  const [address = '', prefix = ''] = text.split('/');
  const parsed = strictIp(address);
  const cidr = parsed === undefined || !/^(?:0|[1-9]\d{0,2})$/.test(prefix) ? undefined : parseCidr(text);
  return parsed === undefined || cidr === undefined ? undefined : new Range(parsed, cidr);
}

function rangeOf(text: string): Range {
  const range = parseRange(text);
  if (range === undefined) throw new CelValueError(`network address parse error during conversion from string: ${JSON.stringify(text)}`);
  return range;
}

const within = (outer: Range, inner: Range): boolean =>
  outer.cidr.family === inner.cidr.family &&
  outer.cidr.prefix <= inner.cidr.prefix &&
  cidrContains(outer.cidr, formatIp(inner.cidr.family, inner.cidr.base));

function registerRanges({ define, environment }: Library): void {
  environment.registerType('net.CIDR', Range as never);
  define('cidr(string): net.CIDR', rangeOf);
  define('isCIDR(string): bool', (text: string) => parseRange(text) !== undefined);
  define('string(net.CIDR): string', (r: Range) => r.toString());
  define('net.CIDR.containsIP(string): bool', (r: Range, text: string) => cidrContains(r.cidr, ipOf(text).toString()));
  define('net.CIDR.containsIP(net.IP): bool', (r: Range, ip: Ip) => cidrContains(r.cidr, ip.toString()));
  define('net.CIDR.containsCIDR(string): bool', (r: Range, text: string) => within(r, rangeOf(text)));
  define('net.CIDR.containsCIDR(net.CIDR): bool', (r: Range, other: Range) => within(r, other));
  define('net.CIDR.ip(): net.IP', (r: Range) => new Ip(r.address));
  define('net.CIDR.masked(): net.CIDR', (r: Range) => new Range({ family: r.cidr.family, value: r.cidr.base }, r.cidr));
  define('net.CIDR.prefixLength(): int', (r: Range) => BigInt(r.cidr.prefix));
}

export function registerNetwork(library: Library): void {
  registerUrls(library);
  registerIps(library);
  registerRanges(library);
  const equal = (a: Url | Ip | Range, b: unknown): boolean => a.equals(b);
  for (const name of ['kubernetes.URL', 'net.IP', 'net.CIDR']) library.environment.registerOperator(`${name} == ${name}`, equal);
}
