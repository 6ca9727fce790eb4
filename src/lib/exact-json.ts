/**
 * JSON whose integers keep all their digits: those beyond 2^53 are bigints when parsed, and bigints are written as JSON
 * numbers by every JSON.stringify of the process, which would otherwise throw. Reading costs a scan for long runs of digits.
 */

declare global {
  interface JSON {
    /** Text that JSON.stringify puts out as it is (ECMAScript proposal, in V8 since 11.4). */
    rawJSON(text: string): object;
    parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
  }
}

Object.defineProperty(BigInt.prototype, 'toJSON', {
  value(this: bigint): object {
    return JSON.rawJSON(this.toString());
  },
  configurable: true,
  writable: true,
});

/** A number of 16 digits or more where a value may stand; also found in some strings, which costs time only. */
const longNumber = /[:,[\s-]\d{16}|^\d{16}/;
/** No longer: what int64 holds has 20 letters at most, and reading very long ones takes long. */
const integer = /^-?\d{1,30}$/;

/** As JSON.parse, but integers of up to 30 digits that a double does not hold exactly are bigints. Throws SyntaxError. */
export function parseExact(text: string): unknown {
  if (!longNumber.test(text)) return JSON.parse(text) as unknown;
  return JSON.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && integer.test(source) ? BigInt(source) : value,
  );
}

/** The value of a JSON number; undefined for what is none. */
export const isJsonNumber = (value: unknown): value is number | bigint => typeof value === 'number' || typeof value === 'bigint';

const int64 = 2n ** 63n;

/** True for what Go's int64 holds. */
export const fitsInt64 = (value: bigint): boolean => value >= -int64 && value < int64;
