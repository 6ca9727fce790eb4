/**
 * Resource quantities ("100m", "1Gi", 1e3): parsing, arithmetic and the canonical form, after
 * k8s.io/apimachinery pkg/api/resource. A value is an integer times a power of ten, so no precision is lost.
 */

export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

/** `value` · 10^`scale`. */
export interface ParsedQuantity {
  readonly value: bigint;
  readonly scale: number;
  readonly format: QuantityFormat;
}

const formatError = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const suffixError = "unable to parse quantity's suffix";

const binarySuffixes: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const decimalSuffixes: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const decimalSuffixByExponent = new Map(Object.entries(decimalSuffixes).map(([suffix, exponent]) => [exponent, suffix]));
const binarySuffixByExponent = new Map(Object.entries(binarySuffixes).map(([suffix, exponent]) => [exponent, suffix]));

const maxAllowed = 2n ** 63n - 1n;
const nano = -9;
/** Beyond this many digits or this exponent a quantity can only be an attack; upstream caps at 2^63-1 anyway. */
const maxLength = 512;

const pow10 = (n: number): bigint => 10n ** BigInt(n);

interface Suffix {
  readonly base: 2 | 10;
  readonly exponent: number;
  readonly format: QuantityFormat;
}

function interpretSuffix(suffix: string): Suffix | undefined {
  if (Object.hasOwn(decimalSuffixes, suffix)) return { base: 10, exponent: decimalSuffixes[suffix] ?? 0, format: 'DecimalSI' };
  if (Object.hasOwn(binarySuffixes, suffix)) return { base: 2, exponent: binarySuffixes[suffix] ?? 0, format: 'BinarySI' };
  if (/^[eE][+-]?[0-9]+$/.test(suffix)) return { base: 10, exponent: Number(suffix.slice(1)), format: 'DecimalExponent' };
  return undefined;
}

/** Rounds away from zero to a multiple of 10^`scale`. */
function roundUp(value: bigint, from: number, scale: number): bigint {
  if (from >= scale) return value;
  const divisor = pow10(scale - from);
  const quotient = value / divisor;
  if (quotient * divisor === value) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}

/**
 * Reads a quantity. Values finer than 1n are rounded up, as upstream does; huge ones are capped at 2^63-1.
 * Throws Error with upstream's text.
 */
export function parseQuantity(input: string | number): ParsedQuantity {
  const text = typeof input === 'number' ? String(input) : input;
  const m = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[+-]?[0-9]*)$/.exec(text);
  if (m === null || text.length > maxLength || text === '') throw new Error(formatError);
  const negative = m[1] === '-';
  const whole = (m[2] ?? '').replace(/^0+/, '');
  const fraction = m[3] ?? '';
  if (m[2] === '' && fraction === '') throw new Error(formatError);
  const suffix = interpretSuffix(m[4] ?? '');
  if (suffix === undefined) throw new Error(suffixError);
  const { base, exponent, format } = suffix;
  let value = BigInt(`${whole}${fraction}` || '0');
  let scale = -fraction.length;
  if (value === 0n) return { value: 0n, scale: 0, format };
  const digits = Math.max(whole.length, 1) + fraction.length;
  if (base === 10) {
    scale += exponent;
    if (digits <= 18 && scale >= nano && scale <= 18) return { value: negative ? -value : value, scale, format };
    if (exponent > maxLength) return { value: negative ? -maxAllowed : maxAllowed, scale: 0, format };
    if (exponent < -2 * maxLength) return { value: negative ? -1n : 1n, scale: nano, format };
  } else value <<= BigInt(exponent);
  const isFraction = base === 2 && value < pow10(-scale);
  if (scale < nano) {
    value = roundUp(value, scale, nano);
    scale = nano;
  }
  if ((scale >= 0 ? value * pow10(scale) : value / pow10(-scale)) >= maxAllowed) {
    value = maxAllowed;
    scale = 0;
  }
  return { value: negative ? -value : value, scale, format: isFraction ? 'DecimalSI' : format };
}

/** True where parseQuantity would not throw. */
export function isQuantity(input: unknown): input is string | number {
  if (typeof input !== 'string' && typeof input !== 'number') return false;
  try {
    parseQuantity(input);
    return true;
  } catch {
    return false;
  }
}

type Amount = string | number | ParsedQuantity;
const parsed = (a: Amount): ParsedQuantity => (typeof a === 'object' ? a : parseQuantity(a));

function aligned(a: ParsedQuantity, b: ParsedQuantity): { a: bigint; b: bigint; scale: number } {
  const scale = Math.min(a.scale, b.scale);
  return { a: a.value * pow10(a.scale - scale), b: b.value * pow10(b.scale - scale), scale };
}

/** -1, 0 or 1. */
export function compareQuantity(left: Amount, right: Amount): -1 | 0 | 1 {
  const { a, b } = aligned(parsed(left), parsed(right));
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The sum; keeps the left one's format, unless that is zero (Quantity.Add). */
export function addQuantity(left: Amount, right: Amount): ParsedQuantity {
  const l = parsed(left);
  const r = parsed(right);
  const { a, b, scale } = aligned(l, r);
  return { value: a + b, scale, format: l.value === 0n ? r.format : l.format };
}

/** The difference; keeps the left one's format, unless that is zero (Quantity.Sub). */
export function subtractQuantity(left: Amount, right: Amount): ParsedQuantity {
  const r = parsed(right);
  return addQuantity(left, { ...r, value: -r.value });
}

/** -1, 0 or 1. */
export function quantitySign(amount: Amount): -1 | 0 | 1 {
  const { value } = parsed(amount);
  return value < 0n ? -1 : value > 0n ? 1 : 0;
}

/** The amount in units of 10^`scale`, rounded up (away from zero): Quantity.ScaledValue. */
export function scaledQuantity(amount: Amount, scale: number): bigint {
  const q = parsed(amount);
  return q.scale >= scale ? q.value * pow10(q.scale - scale) : roundUp(q.value, q.scale, scale);
}

/** The amount as a whole number, rounded up: Quantity.Value. */
export const quantityValue = (amount: Amount): bigint => scaledQuantity(amount, 0);

/** CPU in thousandths of a core, rounded up: Quantity.MilliValue. */
export const milliValue = (amount: Amount): number => Number(scaledQuantity(amount, -3));

/** Memory or storage in bytes, rounded up. */
export const bytesValue = (amount: Amount): number => Number(scaledQuantity(amount, 0));

/** The nearest JavaScript number. */
export function toNumber(amount: Amount): number {
  const q = parsed(amount);
  return Number(`${q.value}e${q.scale}`);
}

function decimalForm(q: ParsedQuantity, format: QuantityFormat): string {
  let { value, scale } = q;
  while (value % 10n === 0n) {
    value /= 10n;
    scale++;
  }
  while (scale % 3 !== 0) {
    value *= 10n;
    scale--;
  }
  if (format === 'DecimalExponent') return scale === 0 ? String(value) : `${value}e${scale}`;
  while (scale > 18) {
    value *= 1000n;
    scale -= 3;
  }
  return `${value}${decimalSuffixByExponent.get(scale) ?? `e${scale}`}`;
}

function binaryForm(whole: bigint): string {
  let value = whole;
  let exponent = 0;
  while (value % 1024n === 0n && exponent < 60) {
    value /= 1024n;
    exponent += 10;
  }
  return `${value}${binarySuffixByExponent.get(exponent) ?? ''}`;
}

/** The canonical text: no fraction, the largest suffix that needs none, the format that was used. */
export function formatQuantity(amount: Amount): string {
  const q = parsed(amount);
  if (q.value === 0n) return '0';
  if (q.format !== 'BinarySI') return decimalForm(q, q.format);
  const whole = scaledQuantity(q, 0);
  const small = whole > -1024n && whole < 1024n;
  const exact = q.scale >= 0 || whole * pow10(-q.scale) === q.value;
  return small || !exact ? decimalForm(q, 'DecimalSI') : binaryForm(whole);
}

/** Rounds up to a multiple of 10^`scale` (-3 for what ResourceLists keep: Quantity.RoundUp). */
export function roundUpQuantity(amount: Amount, scale: number): ParsedQuantity {
  const q = parsed(amount);
  return q.scale >= scale ? q : { ...q, value: roundUp(q.value, q.scale, scale), scale };
}

/** Parses and prints: "0.5" → "500m", "1024Mi" → "1Gi", "1000m" → "1". */
export const canonicalQuantity = (input: string | number): string => formatQuantity(parseQuantity(input));

/** A quantity of whole units. */
export const quantityOf = (value: number | bigint, format: QuantityFormat = 'DecimalSI'): ParsedQuantity => ({
  value: BigInt(value),
  scale: 0,
  format,
});
