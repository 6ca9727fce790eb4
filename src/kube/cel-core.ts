/** What the language has and the CEL library lacks: conversions, comparisons and optional values (cel-go common/types, cel/library.go). */
import { Optional } from '@marcbachmann/cel-js';
import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { CelValueError, celEqual, entriesOf, type Library } from './cel-library.ts';
import { ours } from './cel-names.ts';
import { plain } from './cel-printf.ts';

const minInt = -(2n ** 63n);
const maxInt = 2n ** 63n - 1n;
const maxUint = 2n ** 64n - 1n;

const noConversion = (from: string, to: string): CelValueError => new CelValueError(`type conversion error from '${from}' to '${to}'`);

function fitted(value: bigint, min: bigint, max: bigint, overflow: string): bigint {
  if (value < min || value > max) throw new CelValueError(overflow);
  return value;
}

function whole(value: number, min: bigint, max: bigint, overflow: string): bigint {
  if (!Number.isFinite(value)) throw new CelValueError(overflow);
  return fitted(BigInt(Math.trunc(value)), min, max, overflow);
}

/** Digits as Go's strconv takes them. */
function parsed(text: string, pattern: RegExp, type: string, min: bigint, max: bigint): bigint {
  const value = pattern.test(text) ? BigInt(text.replace(/^\+/, '')) : undefined;
  if (value === undefined || value < min || value > max) throw noConversion('string', type);
  return value;
}

const integerOverflow = 'integer overflow';
const unsignedOverflow = 'unsigned integer overflow';

function registerConversions({ define }: Library): void {
  const int = ours('int');
  define(`${int}(int): int`, (v: bigint) => v);
  define(`${int}(uint): int`, (v: UnsignedInt) => fitted(v.valueOf(), minInt, maxInt, integerOverflow));
  define(`${int}(double): int`, (v: number) => whole(v, minInt, maxInt, integerOverflow));
  define(`${int}(string): int`, (v: string) => parsed(v, /^[+-]?\d+$/, 'int', minInt, maxInt));
  define(`${int}(google.protobuf.Timestamp): int`, (v: Date) => BigInt(Math.floor(v.getTime() / 1000)));
  const uint = ours('uint');
  const unsigned = (v: bigint): UnsignedInt => new UnsignedInt(v);
  define(`${uint}(uint): uint`, (v: UnsignedInt) => v);
  define(`${uint}(int): uint`, (v: bigint) => unsigned(fitted(v, 0n, maxUint, unsignedOverflow)));
  define(`${uint}(double): uint`, (v: number) => unsigned(whole(v, 0n, maxUint, unsignedOverflow)));
  define(`${uint}(string): uint`, (v: string) => unsigned(parsed(v, /^\d+$/, 'uint', 0n, maxUint)));
  define('string(google.protobuf.Timestamp): string', plain);
  define('string(google.protobuf.Duration): string', plain);
  define('timestamp(google.protobuf.Timestamp): google.protobuf.Timestamp', (v: Date) => v);
  define('duration(google.protobuf.Duration): google.protobuf.Duration', (v: Duration) => v);
}

function registerComparisons({ environment }: Library): void {
  const orders: Readonly<Record<string, (order: number) => boolean>> = {
    '<': (order) => order < 0,
    '<=': (order) => order <= 0,
    '>': (order) => order > 0,
    '>=': (order) => order >= 0,
  };
  for (const [op, holds] of Object.entries(orders))
    environment.registerOperator(`bytes ${op} bytes`, (a: Uint8Array, b: Uint8Array) => holds(Buffer.compare(a, b)));
}

/** The value that a variable of a type has where nothing is set. */
function isZero(value: unknown): boolean {
  if (value === null || value === '' || value === 0 || value === 0n || value === false) return true;
  if (typeof value !== 'object') return false;
  if (value instanceof UnsignedInt || value instanceof Duration) return Number(value.valueOf()) === 0;
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  const proto: unknown = Object.getPrototypeOf(value);
  return (value instanceof Map || proto === null || proto === Object.prototype) && entriesOf(value).length === 0;
}

function registerOptionals({ define, environment }: Library): void {
  define('OptionalNamespace.ofNonZeroValue(A): optional<A>', (_: object, value: unknown) =>
    isZero(value) ? Optional.none() : Optional.of(value),
  );
  environment.registerOperator('optional<A> == optional<A>', (a: Optional, b: Optional) =>
    a.hasValue() && b.hasValue() ? celEqual(a.value(), b.value()) : a.hasValue() === b.hasValue(),
  );
}

export function registerCore(library: Library): void {
  registerConversions(library);
  registerComparisons(library);
  registerOptionals(library);
}
