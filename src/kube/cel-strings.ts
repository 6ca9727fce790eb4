/**
 * The CEL functions on strings of cel-go's ext.Strings, version 2. Positions are those of Unicode characters. Where the library has a
 * function of the same name that does something else, ours goes under a name that cel-names.ts gives to it.
 */
import { CelValueError, defineNamespace, type Library } from './cel-library.ts';
import { ours } from './cel-names.ts';
import { formatText } from './cel-printf.ts';

const surrogate = /[\ud800-\udfff]/;

/** A text whose positions are those of characters. Most texts have one unit for each. */
interface Characters {
  readonly length: number;
  readonly slice: (start: number, end?: number) => string;
}
const charactersOf = (text: string): Characters => {
  if (!surrogate.test(text)) return text;
  const all = Array.from(text);
  return { length: all.length, slice: (start, end) => all.slice(start, end).join('') };
};
const lengthOf = (text: string): number => charactersOf(text).length;

const outOfRange = (index: bigint): CelValueError => new CelValueError(`index out of range: ${index}`);

function position(index: bigint, length: number): number {
  if (index < 0n || index > BigInt(length)) throw outOfRange(index);
  return Number(index);
}

function indexOf(text: string, part: string, from: bigint): bigint {
  const all = charactersOf(text);
  const start = position(from, all.length);
  if (part === '') return from;
  const rest = all.slice(start);
  const found = rest.indexOf(part);
  return found < 0 ? -1n : BigInt(start + lengthOf(rest.slice(0, found)));
}

function lastIndexOf(text: string, part: string, upTo: bigint | undefined): bigint {
  const all = charactersOf(text);
  const last = upTo === undefined ? all.length : position(upTo, all.length);
  if (part === '') return BigInt(last);
  const found = text.lastIndexOf(part, all.slice(0, last).length);
  return found < 0 ? -1n : BigInt(lengthOf(text.slice(0, found)));
}

function substring(text: string, from: bigint, to: bigint | undefined): string {
  const all = charactersOf(text);
  if (to === undefined) return all.slice(position(from, all.length));
  if (from > to) throw new CelValueError(`invalid substring range. start: ${from}, end: ${to}`);
  return all.slice(position(from, all.length), position(to, all.length));
}

const separated = (text: string, separator: string): string[] => (separator === '' ? Array.from(text) : text.split(separator));

function split(text: string, separator: string, limit: bigint): string[] {
  if (limit === 0n) return [];
  const parts = separated(text, separator);
  if (limit < 0n || BigInt(parts.length) <= limit) return parts;
  const kept = Number(limit) - 1;
  return [...parts.slice(0, kept), parts.slice(kept).join(separator)];
}

function replace(text: string, from: string, to: string, limit: bigint): string {
  // Between characters and around them, as in Go.
  const parts = from === '' ? ['', ...Array.from(text), ''] : text.split(from);
  const count = limit < 0n || limit > BigInt(parts.length - 1) ? parts.length - 1 : Number(limit);
  return (
    parts.slice(0, count + 1).join(to) +
    parts
      .slice(count + 1)
      .map((part) => from + part)
      .join('')
  );
}

/** What Go's unicode.IsSpace holds to be space. */
const space = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+';
const around = new RegExp(`^${space}|${space}$`, 'g');

const escapes: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};
const quoted = (text: string): string => `"${Array.from(text, (c) => escapes[c] ?? c).join('')}"`;

export function registerStrings({ define, environment }: Library): void {
  define('string.charAt(int): string', (text: string, index: bigint) => {
    const all = charactersOf(text);
    const at = position(index, all.length);
    return all.slice(at, at + 1);
  });
  define(`string.${ours('indexOf')}(string): int`, (text: string, part: string) => indexOf(text, part, 0n));
  define(`string.${ours('indexOf')}(string, int): int`, indexOf);
  define(`string.${ours('lastIndexOf')}(string): int`, (text: string, part: string) => lastIndexOf(text, part, undefined));
  define(`string.${ours('lastIndexOf')}(string, int): int`, lastIndexOf);
  define(`string.${ours('lowerAscii')}(): string`, (text: string) => text.replaceAll(/[A-Z]+/g, (part) => part.toLowerCase()));
  define(`string.${ours('upperAscii')}(): string`, (text: string) => text.replaceAll(/[a-z]+/g, (part) => part.toUpperCase()));
  define(`string.${ours('substring')}(int): string`, (text: string, from: bigint) => substring(text, from, undefined));
  define(`string.${ours('substring')}(int, int): string`, substring);
  define(`string.${ours('split')}(string): list<string>`, separated);
  define(`string.${ours('split')}(string, int): list<string>`, split);
  define(`string.${ours('trim')}(): string`, (text: string) => text.replaceAll(around, ''));
  define('string.replace(string, string): string', (text: string, from: string, to: string) => replace(text, from, to, -1n));
  define('string.replace(string, string, int): string', replace);
  define('string.format(list): string', (text: string, args: readonly unknown[]) => formatText(text, args));
  defineNamespace(environment, 'strings');
  define('stringsNamespace.quote(string): string', (_: object, text: string) => quoted(text));
}
