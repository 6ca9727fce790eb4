/**
 * The string formats that upstream checks in custom resources; others are remarks. k8s.io/apiextensions-apiserver
 * pkg/apiserver/validation/formats.go lists them, k8s.io/kube-openapi pkg/validation/strfmt and govalidator say what they are.
 */
import { isIP } from 'node:net';
import { parseCidr } from '#lib/cidr.ts';
import type { JSONSchemaProps } from '../generated/apiextensions-v1.ts';
import { isObject } from '../json-value.ts';

const date = /^(\d{4})-(\d{2})-(\d{2})$/;
const time = /^(\d{2}):(\d{2}):(\d{2})(.\d+)?(z|[+-]\d{2}:\d{2})$/s;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/;
const goDuration = /^[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const wordDuration = /^\s*(?:\d+\s*[A-Za-zµ]+\s*)+$/;
const durationPart = /\d+\s*([A-Za-zµ]+)/g;
const durationUnit = /^(?:ns|us|µs|ms|s|m|h|hr|d|w|wk)$|^(?:nano|micro|milli|sec|min|hour|day|week)/i;
const hostname =
  /^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9\-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z0-9\p{S}\p{L}])(-?[a-zA-Z0-9\p{S}\p{L}]){1,62})$/u;
const atom = '[^\\s()<>\\[\\]:;@\\\\,."]+';
const mailbox = `(?:${atom}(?:\\.${atom})*|"(?:[^"\\\\]|\\\\.)*")@(?:${atom}(?:\\.${atom})*|\\[[^\\[\\]\\s]*\\])`;
const email = new RegExp(`^\\s*(?:${mailbox}|(?:"(?:[^"\\\\]|\\\\.)*"|[^<>@",;:]*)\\s*<${mailbox}>)\\s*$`);
const mac = /^[0-9a-f]{2}(?:([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2})*)$|^[0-9a-f]{4}(?:\.[0-9a-f]{4})+$/i;
const macBytes = new Set([6, 8, 20]);
const cardNumber =
  /^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|(?:222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11}|6[27][0-9]{14})$/;
const byteValue = '(?:0|[1-9]\\d?|1\\d\\d?|2[0-4]\\d|25[0-5])';
const rgb = new RegExp(`^rgb\\(\\s*${byteValue}\\s*,\\s*${byteValue}\\s*,\\s*${byteValue}\\s*\\)$`);
const shortName = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const uuid = (third: string, fourth: string): RegExp => new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${third}-?${fourth}-?[0-9a-f]{12}$`, 'i');

function isDate(text: string): boolean {
  const m = date.exec(text);
  if (m === null) return false;
  const [year, month, day] = m.slice(1).map(Number) as [number, number, number];
  const parsed = new Date(Date.UTC(2000, month - 1, day));
  parsed.setUTCFullYear(year, month - 1, day);
  return parsed.getUTCMonth() === month - 1 && parsed.getUTCDate() === day;
}

function isDateTime(text: string): boolean {
  const [day = '', clock] = text.toLowerCase().split('t');
  const m = clock === undefined || !isDate(day) ? null : time.exec(clock);
  return m !== null && (m[1] ?? '') <= '23' && (m[2] ?? '') <= '59' && (m[3] ?? '') <= '59';
}

function isDuration(text: string): boolean {
  if (goDuration.test(text)) return true;
  // The pattern is slow on long texts that do not fit.
  return text.length <= 256 && wordDuration.test(text) && [...text.matchAll(durationPart)].some(([, unit = '']) => durationUnit.test(unit));
}

function isHostname(text: string): boolean {
  const bytes = (part: string): number => Buffer.byteLength(part);
  return text.length <= 255 && bytes(text) <= 255 && hostname.test(text) && text.split('.').every((part) => bytes(part) <= 63);
}

/** net.ParseIP knows no zones. */
const isAddress = (text: string): boolean => !text.includes('%') && isIP(text) !== 0;

const hasControls = (text: string): boolean => Array.from(text).some((c) => c < ' ' || c === '\x7f');

/** url.ParseRequestURI: an absolute URI or an absolute path. */
function isUri(text: string): boolean {
  if (text === '' || hasControls(text)) return false;
  if (text === '*') return true;
  const [, scheme, rest = ''] = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(.*)$/s.exec(text) ?? [];
  if (!rest.startsWith('/')) return scheme !== undefined;
  const [, authority = '', path = ''] = /^(?:\/\/([^/?]*))?([^?]*)/.exec(rest) ?? [];
  return !/[ "<>^`{|}\\]/.test(authority) && /:?\d*$/.test(authority) && !/%(?![0-9a-fA-F]{2})/.test(`${authority}${path}`);
}

const withoutSpaces = (text: string): string => text.replaceAll(/[\s-]+/g, '');

function isIsbn10(text: string): boolean {
  const digits = withoutSpaces(text);
  if (!/^(?:\d{9}X|\d{10})$/.test(digits)) return false;
  const sum = Array.from(digits).reduce((total, c, i) => total + (10 - i) * (c === 'X' ? 10 : Number(c)), 0);
  return sum % 11 === 0;
}

function isIsbn13(text: string): boolean {
  const digits = withoutSpaces(text);
  return /^\d{13}$/.test(digits) && Array.from(digits).reduce((sum, c, i) => sum + (i % 2 === 0 ? 1 : 3) * Number(c), 0) % 10 === 0;
}

function isCreditCard(text: string): boolean {
  const digits = text.replaceAll(/[^0-9]+/g, '');
  if (!cardNumber.test(digits)) return false;
  const doubled = (d: number): number => (d > 4 ? 2 * d - 9 : 2 * d);
  const sum = Array.from(digits)
    .reverse()
    .reduce((total, c, i) => total + (i % 2 === 1 ? doubled(Number(c)) : Number(c)), 0);
  return sum % 10 === 0;
}

const matches =
  (pattern: RegExp) =>
  (text: string): boolean =>
    pattern.test(text);

/** By names without dashes, which is how upstream looks them up. */
const checks: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ['bsonobjectid', matches(/^[0-9a-fA-F]{24}$/)],
  ['uri', isUri],
  ['email', (t) => t.length <= 1024 && !hasControls(t) && email.test(t)],
  ['hostname', isHostname],
  ['ipv4', (t) => isAddress(t) && t.includes('.')],
  ['ipv6', (t) => isAddress(t) && t.includes(':')],
  ['cidr', (t) => parseCidr(t) !== undefined],
  ['mac', (t) => mac.test(t) && macBytes.has(t.replaceAll(/[:.-]/g, '').length / 2)],
  ['uuid', matches(uuid('[0-9a-f]{4}', '[0-9a-f]{4}'))],
  ['uuid3', matches(uuid('3[0-9a-f]{3}', '[0-9a-f]{4}'))],
  ['uuid4', matches(uuid('4[0-9a-f]{3}', '[89ab][0-9a-f]{3}'))],
  ['uuid5', matches(uuid('5[0-9a-f]{3}', '[89ab][0-9a-f]{3}'))],
  ['isbn', (t) => isIsbn10(t) || isIsbn13(t)],
  ['isbn10', isIsbn10],
  ['isbn13', isIsbn13],
  ['creditcard', isCreditCard],
  ['ssn', (t) => t.length === 11 && /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(t)],
  ['hexcolor', matches(/^#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/)],
  ['rgbcolor', matches(rgb)],
  ['byte', matches(base64)],
  ['password', () => true],
  ['date', isDate],
  ['duration', isDuration],
  ['datetime', isDateTime],
  // Since 1.34.
  ['k8sshortname', (t) => t.length <= 63 && new RegExp(`^${shortName}$`).test(t)],
  ['k8slongname', (t) => t.length <= 253 && new RegExp(`^${shortName}(?:\\.${shortName})*$`).test(t)],
]);

const checkOf = (format: string): ((text: string) => boolean) | undefined => checks.get(format.replaceAll('-', ''));

/** True for a format that is checked. */
export const isKnownFormat = (format: string): boolean => checkOf(format) !== undefined;

/** True when the text is not of the format. */
export const formatProblem = (format: string, text: string): boolean => checkOf(format)?.(text) === false;

/** The formats of texts in a schema that nobody checks. */
export function unknownFormats(schema: JSONSchemaProps): ReadonlySet<string> {
  const found = new Set<string>();
  const walk = (p: JSONSchemaProps): void => {
    const { type, format = '', properties = {}, items, additionalProperties, allOf = [], anyOf = [], oneOf = [], not } = p;
    if (type === 'string' && format !== '' && !isKnownFormat(format)) found.add(format);
    const below = [...Object.values(properties), items, additionalProperties, ...allOf, ...anyOf, ...oneOf, not];
    for (const inner of below) if (isObject(inner)) walk(inner);
  };
  walk(schema);
  return found;
}
