/**
 * JSON whose integers keep all their digits: those beyond 2^53 are bigints when parsed, and bigints are written as JSON
 * numbers by every JSON.stringify of the process, which would otherwise throw. Reading costs a look at every sixteenth letter.
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

/** Integers with fewer digits are exact in a double. */
const longDigits = 16;
const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
/** What may stand before a number: the beginning, a colon, a comma, a bracket, a minus or space. */
const beforeNumber = new Set(Buffer.from(':,[- \t\n\r'));

/**
 * True where 16 digits or more stand as a value may; also for some strings, which costs time only. So many digits in a row
 * cover a position that is a multiple of 16: only those are looked at, in a fraction of the time that parsing takes.
 */
function hasLongNumber(text: string): boolean {
  for (let at = longDigits - 1; at < text.length; at += longDigits) {
    if (!isDigit(text.charCodeAt(at))) continue;
    let start = at;
    while (start > 0 && isDigit(text.charCodeAt(start - 1))) start--;
    let end = at + 1;
    while (end < text.length && isDigit(text.charCodeAt(end))) end++;
    if (end - start >= longDigits && (start === 0 || beforeNumber.has(text.charCodeAt(start - 1)))) return true;
    at = end - (end % longDigits) - 1;
  }
  return false;
}

/** No longer: what int64 holds has 20 letters at most, and reading very long ones takes long. */
const integer = /^-?\d{1,30}$/;

/** As JSON.parse, but integers of up to 30 digits that a double does not hold exactly are bigints. Throws SyntaxError. */
export function parseExact(text: string): unknown {
  if (!hasLongNumber(text)) return JSON.parse(text) as unknown;
  return JSON.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && integer.test(source) ? BigInt(source) : value,
  );
}

/** The value of a JSON number; undefined for what is none. */
export const isJsonNumber = (value: unknown): value is number | bigint => typeof value === 'number' || typeof value === 'bigint';

const int64 = 2n ** 63n;

/** True for what Go's int64 holds. */
export const fitsInt64 = (value: bigint): boolean => value >= -int64 && value < int64;

/** A number written with a point or an exponent, where it matters that it was. It has no keys. */
export class WrittenFloat {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get value(): number {
    return Number(this.#text);
  }

  toString(): string {
    return this.#text;
  }
}

/** Also true for some strings, which costs time only; not for tags of images. */
const writtenFloat = /[:,[\s]-?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)[\s,\]}]/;

/** As parseExact, with WrittenFloat for what was written so. Throws SyntaxError. */
export function parseWritten(text: string): unknown {
  if (!writtenFloat.test(text)) return parseExact(text);
  return JSON.parse(text, (_key, value, { source }) => {
    if (typeof value !== 'number' || source === undefined) return value;
    if (/[.eE]/.test(source)) return new WrittenFloat(source);
    return !Number.isSafeInteger(value) && integer.test(source) ? BigInt(source) : value;
  });
}
