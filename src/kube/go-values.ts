/** How Go reads the scalar values that JSON carries as strings, and the words it has for what it cannot read. */
import { WrittenFloat } from '#lib/exact-json.ts';

/** A value that does not fit its Go type; the message is Go's. */
export class GoTypeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'GoTypeError';
  }
}

/** What encoding/json calls a JSON value in its errors. */
export function describeType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint' || value instanceof WrittenFloat) return 'number';
  return value === null ? 'null' : typeof value;
}

const timePattern = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:(Z)|([+-])(\d\d):(\d\d))$/;
const layout = '2006-01-02T15:04:05Z07:00';
const microLayout = '2006-01-02T15:04:05.000000Z07:00';

interface Instant {
  /** Whole seconds since the epoch. */
  readonly seconds: number;
  /** What follows the seconds: digits only. */
  readonly fraction: string;
}

function parseTime(text: string, layoutText: string): Instant {
  const m = timePattern.exec(text);
  if (m === null) throw timeError(text, layoutText);
  const [year, month, day, hour, minute, second] = m.slice(1, 7).map(Number) as [number, number, number, number, number, number];
  const offset = m[8] === 'Z' ? 0 : (m[9] === '-' ? -1 : 1) * (Number(m[10]) * 60 + Number(m[11]));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const outOf = (what: string): GoTypeError => new GoTypeError(`parsing time ${JSON.stringify(text)}: ${what} out of range`);
  if (month < 1 || month > 12) throw outOf('month');
  if (day < 1 || date.getUTCDate() !== day) throw outOf('day');
  if (hour > 23) throw outOf('hour');
  if (minute > 59) throw outOf('minute');
  if (second > 59) throw outOf('second');
  return { seconds: date.getTime() / 1000 + hour * 3600 + minute * 60 + second - offset * 60, fraction: m[7] ?? '' };
}

/** Go names the first part of the layout that the text does not match. */
function timeError(text: string, layoutText: string): GoTypeError {
  const parts: readonly (readonly [RegExp, string])[] = [
    [/^\d{4}/, '2006'],
    [/^-/, '-'],
    [/^\d\d/, '01'],
    [/^-/, '-'],
    [/^\d\d/, '02'],
    [/^T/, 'T'],
    [/^\d\d/, '15'],
    [/^:/, ':'],
    [/^\d\d/, '04'],
    [/^:/, ':'],
    [/^\d\d(?:[.,]\d+)?/, '05'],
    [/^(?:Z|[+-]\d\d:\d\d)/, 'Z07:00'],
  ];
  let rest = text;
  for (const [pattern, name] of parts) {
    const m = pattern.exec(rest);
    if (m === null) return cannotParse(text, layoutText, rest, name);
    rest = rest.slice(m[0].length);
  }
  return new GoTypeError(`parsing time ${JSON.stringify(text)}: extra text: ${JSON.stringify(rest)}`);
}

const cannotParse = (text: string, layoutText: string, rest: string, name: string): GoTypeError =>
  new GoTypeError(
    `parsing time ${JSON.stringify(text)} as ${JSON.stringify(layoutText)}: cannot parse ${JSON.stringify(rest)} as ${JSON.stringify(name)}`,
  );

const canonical = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{6})?Z$/;

/** RFC 3339 in UTC, whole seconds: the JSON of metav1.Time. Throws GoTypeError. */
export function canonicalTime(text: string): string {
  if (text.length === 20 && canonical.test(text)) return text;
  return new Date(parseTime(text, layout).seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** RFC 3339 in UTC with six digits: the JSON of metav1.MicroTime. Throws GoTypeError. */
export function canonicalMicroTime(text: string): string {
  if (text.length === 27 && canonical.test(text)) return text;
  const { seconds, fraction } = parseTime(text, microLayout);
  return new Date(seconds * 1000).toISOString().replace('.000Z', `.${fraction.padEnd(6, '0').slice(0, 6)}Z`);
}

const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Go's complaint about text that is not padded standard base64 (line breaks are let through), or undefined. */
export function base64Problem(text: string): string | undefined {
  const clean = text.includes('\n') || text.includes('\r') ? text.replaceAll(/[\r\n]/g, '') : text;
  if (clean.length % 4 === 0 && base64Pattern.test(clean)) return undefined;
  const bad = /[^A-Za-z0-9+/\r\n]/.exec(text);
  return `illegal base64 data at input byte ${bad?.index ?? text.length - (clean.length % 4)}`;
}
