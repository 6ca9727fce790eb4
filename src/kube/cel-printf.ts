/** string.format of cel-go's ext.Strings. */
import { CelValueError, entriesOf } from './cel-library.ts';

function plain(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null) return 'null';
  if (typeof value === 'number') return number(value);
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z');
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (Array.isArray(value)) return `[${value.map(nested).join(', ')}]`;
  if (typeof value === 'object') {
    const proto: unknown = Object.getPrototypeOf(value);
    if (value instanceof Map || proto === null || proto === Object.prototype) {
      const entries = entriesOf(value).map(([k, v]) => [nested(k), nested(v)] as const);
      return `{${entries
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([k, v]) => `${k}: ${v}`)
        .join(', ')}}`;
    }
    // Durations, quantities and the like print themselves.
    return (value as { toString: () => string }).toString();
  }
  throw new CelValueError('could not convert argument to string');
}

const nested = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : plain(value));

function number(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  return String(value);
}

function radix(value: unknown, base: number, clause: string): string {
  if (typeof value === 'bigint') return value.toString(base);
  if (base === 2 && typeof value === 'boolean') return value ? '1' : '0';
  if (base === 16 && typeof value === 'string') return Buffer.from(value, 'utf8').toString('hex');
  if (base === 16 && value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  throw new CelValueError(`error during formatting: ${clause} clause can only be used on integers`);
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
      if (typeof value === 'bigint') return String(value);
      if (typeof value === 'number' && Number.isInteger(value)) return String(value);
      throw new CelValueError('error during formatting: decimal clause can only be used on integers');
    case 'f':
    case 'e': {
      if (typeof value !== 'number' && typeof value !== 'bigint') {
        throw new CelValueError('error during formatting: fixed-point clause can only be used on doubles');
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
