/** string.format of cel-go's ext.Strings. */
import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { CelValueError, entriesOf } from './cel-library.ts';

/** A value as text: what string() gives, and lists and maps as cel-go writes them. */
export function plain(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null) return 'null';
  if (typeof value === 'number') return number(value);
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (value instanceof Date) return value.toISOString().replace(/\.?0*Z$/, 'Z');
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (Array.isArray(value)) return `[${value.map(nested).join(', ')}]`;
  if (typeof value === 'object') {
    const proto: unknown = Object.getPrototypeOf(value);
    if (value instanceof Map || proto === null || proto === Object.prototype) {
      const entries = entriesOf(value).map(([k, v]) => [nested(k), nested(v)] as const);
      return `{${entries
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([k, v]) => `${k}:${v}`)
        .join(', ')}}`;
    }
    // A type is called by its name; durations, quantities and the like print themselves.
    return typeName(value) ?? (value as { toString: () => string }).toString();
  }
  throw new CelValueError('could not convert argument to string');
}

/** The name of a type that is a value; undefined for other values. */
function typeName(value: object): string | undefined {
  const name = /^\[object Type<(.*)>\]$/.exec(Object.prototype.toString.call(value))?.[1];
  return name === 'null' ? 'null_type' : name;
}

/** In lists and maps, cel-go writes values as they stand in expressions, and doubles with six digits. */
function nested(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value.toFixed(6) : JSON.stringify(number(value));
  if (value instanceof Uint8Array) return `b${JSON.stringify(plain(value))}`;
  if (value instanceof Date) return `timestamp("${plain(value)}")`;
  if (value instanceof Duration) return `duration("${plain(value)}")`;
  return plain(value);
}

function number(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  return String(value);
}

/** The name of a value's type, as errors show it. */
function kindOf(value: unknown): string {
  const kinds: Readonly<Record<string, string>> = { string: 'string', number: 'double', bigint: 'int', boolean: 'bool' };
  if (value === null) return 'null_type';
  if (typeof value !== 'object') return kinds[typeof value] ?? typeof value;
  if (Array.isArray(value)) return 'list';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof UnsignedInt) return 'uint';
  if (value instanceof Date) return 'google.protobuf.Timestamp';
  if (value instanceof Duration) return 'google.protobuf.Duration';
  return 'map';
}

const integerOf = (value: unknown): bigint | undefined =>
  typeof value === 'bigint' ? value : value instanceof UnsignedInt ? value.valueOf() : undefined;

const radixTypes: Readonly<Record<number, string>> = { 2: 'integers and bools', 16: 'integers, byte buffers, and strings' };

function radix(value: unknown, base: number, clause: string): string {
  const integer = integerOf(value);
  if (integer !== undefined) return integer.toString(base);
  if (base === 2 && typeof value === 'boolean') return value ? '1' : '0';
  if (base === 16 && typeof value === 'string') return Buffer.from(value, 'utf8').toString('hex');
  if (base === 16 && value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  throw new CelValueError(
    `error during formatting: ${clause} clause can only be used on ${radixTypes[base] ?? 'integers'}, was given ${kindOf(value)}`,
  );
}

function scientific(value: number, precision: number): string {
  const text = value.toExponential(precision);
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

function clause(kind: string, precision: number | undefined, value: unknown): string {
  switch (kind) {
    case 's':
      return plain(value);
    case 'd':
      if (integerOf(value) !== undefined) return String(integerOf(value));
      throw new CelValueError(`error during formatting: decimal clause can only be used on integers, was given ${kindOf(value)}`);
    case 'f':
    case 'e': {
      if (typeof value !== 'number' && typeof value !== 'bigint') {
        const what = kind === 'f' ? 'fixed-point' : 'scientific';
        throw new CelValueError(`error during formatting: ${what} clause can only be used on doubles, was given ${kindOf(value)}`);
      }
      const n = Number(value);
      if (!Number.isFinite(n)) return number(n);
      return kind === 'f' ? n.toFixed(precision ?? 6) : scientific(n, precision ?? 6);
    }
    case 'b':
      return radix(value, 2, 'binary');
    case 'x':
      return radix(value, 16, 'hex');
    case 'X':
      return radix(value, 16, 'hex').toUpperCase();
    case 'o':
      return radix(value, 8, 'octal');
    default:
      throw new CelValueError(`could not parse formatting clause: unrecognized formatting clause "${kind}"`);
  }
}

/** Replaces %s, %d, %f, %e, %b, %o, %x and %X by the arguments in turn. Throws CelValueError. */
export function formatText(text: string, args: readonly unknown[]): string {
  let next = 0;
  return text.replaceAll(/%(?:\.(\d{1,2}))?(.?)/gs, (_all, precision: string | undefined, kind: string) => {
    if (kind === '%') return '%';
    if (next >= args.length) throw new CelValueError(`index ${next} out of range`);
    return clause(kind, precision === undefined ? undefined : Number(precision), args[next++]);
  });
}
