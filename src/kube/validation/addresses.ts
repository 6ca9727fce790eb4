/**
 * Addresses and networks in API fields: k8s.io/apimachinery pkg/util/validation/ip.go. Fields that are older than the strict
 * rules take any spelling of IPv6, and what an object holds already stays valid: pass the old object's values as `known`.
 */
import { type Cidr, cidrSize, formatCidr, formatIp, parseIp } from '#lib/cidr.ts';
import type { FieldError } from '../status-error.ts';
import { fieldInvalid } from './field-error.ts';

interface Address {
  /** IPv4 addresses written as IPv6 count as IPv4. */
  readonly family: 4 | 6;
  readonly value: bigint;
  readonly leadingZeros: boolean;
  readonly mapped: boolean;
}

/** An address as Go has read it before 1.17: numbers of IPv4 may begin with zeros. */
function readIp(text: string): Address | undefined {
  const strict = parseIp(text);
  const ip = strict ?? parseIp(text.replace(/(^|[.:])0+(?=\d+(?:\.|$))/g, '$1'));
  if (ip === undefined) return undefined;
  const mapped = ip.family === 6 && ip.value >> 32n === 0xffffn;
  return {
    family: mapped ? 4 : ip.family,
    value: mapped ? ip.value & 0xffffffffn : ip.value,
    leadingZeros: strict === undefined,
    mapped,
  };
}

interface Network extends Address {
  readonly cidr: Cidr;
  readonly hostBits: boolean;
}

function readCidr(text: string): Network | undefined {
  const slash = text.lastIndexOf('/');
  const suffix = text.slice(slash + 1);
  const ip = slash < 0 || !/^\d{1,9}$/.test(suffix) ? undefined : readIp(text.slice(0, slash));
  if (ip === undefined) return undefined;
  const prefix = Number(suffix) - (ip.mapped ? 96 : 0);
  const bits = ip.family === 4 ? 32 : 128;
  if (prefix < 0 || prefix > bits) return undefined;
  const host = BigInt(bits - prefix);
  const base = (ip.value >> host) << host;
  return {
    ...ip,
    leadingZeros: ip.leadingZeros || suffix !== String(Number(suffix)),
    cidr: { family: ip.family, base, prefix },
    hostBits: base !== ip.value,
  };
}

export const isIpText = (text: string): boolean => readIp(text) !== undefined;

/** 4 or 6; undefined for what is no address. */
export const ipFamily = (text: string): 4 | 6 | undefined => readIp(text)?.family;
export const cidrFamily = (text: string): 4 | 6 | undefined => readCidr(text)?.family;

/** True for one address of each family. */
export const isDualStack = (families: readonly (4 | 6 | undefined)[]): boolean => families.includes(4) && families.includes(6);

/** An address in a field that is older than the strict rules: IsValidIPForLegacyField. */
export function ipAddress(field: string, text: string, known: readonly string[] = []): FieldError[] {
  if (known.includes(text)) return [];
  const ip = readIp(text);
  if (ip === undefined) return [fieldInvalid(field, text, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
  if (ip.leadingZeros) return [fieldInvalid(field, text, 'must not have leading 0s')];
  return ip.mapped ? [fieldInvalid(field, text, 'must not be an IPv4-mapped IPv6 address')] : [];
}

const canonical = (field: string, text: string, form: string): FieldError[] =>
  text === form ? [] : [fieldInvalid(field, text, `must be in canonical form (${JSON.stringify(form)})`)];

/** An address in its one canonical form: IsValidIP. */
export function canonicalIpAddress(field: string, text: string): FieldError[] {
  const errors = ipAddress(field, text);
  const ip = readIp(text);
  return errors.length > 0 || ip === undefined ? errors : canonical(field, text, formatIp(ip.family, ip.value));
}

/** A network in a field that is older than the strict rules: IsValidCIDRForLegacyField. */
export function cidr(field: string, text: string, known: readonly string[] = []): FieldError[] {
  if (known.includes(text)) return [];
  const net = readCidr(text);
  if (net === undefined) return [fieldInvalid(field, text, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')];
  if (net.leadingZeros) return [fieldInvalid(field, text, 'must not have leading 0s in IP or prefix length')];
  if (net.mapped) return [fieldInvalid(field, text, 'must not have an IPv4-mapped IPv6 address')];
  return net.hostBits ? [fieldInvalid(field, text, 'must not have bits set beyond the prefix length')] : [];
}

/** A network in its one canonical form: IsValidCIDR. */
export function canonicalCidr(field: string, text: string): FieldError[] {
  const errors = cidr(field, text);
  const net = readCidr(text);
  return errors.length > 0 || net === undefined ? errors : canonical(field, text, formatCidr(net.cidr));
}

/** True where `inner` is a part of `outer`, and smaller; undefined where one of them cannot be read. */
export function isStrictSubnet(inner: string, outer: string): boolean | undefined {
  const [a, b] = [readCidr(inner)?.cidr, readCidr(outer)?.cidr];
  if (a === undefined || b === undefined) return undefined;
  return a.family === b.family && a.prefix > b.prefix && a.base >= b.base && a.base < b.base + cidrSize(b);
}

/** What is odd about the spelling of an address: GetWarningsForIP. */
export function ipWarnings(field: string, text: string): string[] {
  const ip = readIp(text);
  if (ip === undefined) return [];
  const form = formatIp(ip.family, ip.value);
  const [given, better] = [JSON.stringify(text), JSON.stringify(form)];
  if (ip.leadingZeros || ip.mapped)
    return [`${field}: non-standard IP address ${given} will be considered invalid in a future Kubernetes release: use ${better}`];
  return ip.family === 6 && form !== text ? [`${field}: IPv6 address ${given} should be in RFC 5952 canonical format (${better})`] : [];
}

/** What is odd about the spelling of a network: GetWarningsForCIDR. */
export function cidrWarnings(field: string, text: string): string[] {
  const net = readCidr(text);
  if (net === undefined) return [];
  const form = formatCidr(net.cidr);
  const [given, better] = [JSON.stringify(text), JSON.stringify(form)];
  const warnings: string[] = [];
  if (net.hostBits) {
    const single = `${formatIp(net.family, net.value)}/${net.family === 4 ? 32 : 128}`;
    warnings.push(`${field}: CIDR value ${given} is ambiguous in this context (should be ${better} or ${JSON.stringify(single)}?)`);
  }
  if (net.leadingZeros || net.mapped)
    warnings.push(`${field}: non-standard CIDR value ${given} will be considered invalid in a future Kubernetes release: use ${better}`);
  if (warnings.length === 0 && net.family === 6 && form !== text)
    warnings.push(`${field}: IPv6 CIDR value ${given} should be in RFC 5952 canonical format (${better})`);
  return warnings;
}

/** Addresses that mean nothing to other machines, in endpoints and external IPs: ValidateNonSpecialIP. */
export function ordinaryIp(field: string, text: string): FieldError[] {
  const ip = readIp(text);
  if (ip === undefined) return [fieldInvalid(field, text, 'must be a valid IP address')];
  const { family, value } = ip;
  const wrong = (why: string): FieldError[] => [fieldInvalid(field, text, why)];
  const top = (bits: number): bigint => value >> BigInt((family === 4 ? 32 : 128) - bits);
  if (value === 0n) return wrong(`may not be unspecified (${text})`);
  if (family === 4 ? top(8) === 127n : value === 1n) return wrong('may not be in the loopback range (127.0.0.0/8, ::1/128)');
  if (family === 4 ? top(16) === 0xa9fen : top(10) === 0x3fan)
    return wrong('may not be in the link-local range (169.254.0.0/16, fe80::/10)');
  if (family === 4 ? top(24) === 0xe00000n : top(8) === 0xffn && (top(16) & 0xfn) === 2n)
    return wrong('may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)');
  return [];
}
