/** Finds a member of a JSON object in its bytes without parsing them. The bytes must be JSON as JSON.stringify writes it: without spaces. */

export interface MemberRange {
  /** Where the member's value begins and where it has ended. */
  readonly start: number;
  readonly end: number;
  /** The range to cut out, so that what stays is JSON: the member with one comma. */
  readonly cutStart: number;
  readonly cutEnd: number;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** The position after the string whose opening quote is at `at`. */
function afterString(bytes: Buffer, at: number): number {
  let end = bytes.indexOf(quote, at + 1);
  while (end > 0) {
    let slashes = 0;
    while (bytes[end - 1 - slashes] === backslash) slashes++;
    if (slashes % 2 === 0) return end + 1;
    end = bytes.indexOf(quote, end + 1);
  }
  return bytes.length;
}

/** The position after the value that begins at `at`. */
function afterValue(bytes: Buffer, at: number): number {
  let depth = 0;
  let i = at;
  while (i < bytes.length) {
    const byte = bytes[i];
    if (byte === quote) i = afterString(bytes, i) - 1;
    else if (byte === openBrace || byte === openBracket) depth++;
    else if (byte === closeBrace || byte === closeBracket) {
      if (depth === 0) return i;
      depth--;
      if (depth === 0) return i + 1;
    } else if (byte === comma && depth === 0) return i;
    i++;
    if (depth === 0 && byte === quote) return i;
  }
  return bytes.length;
}

/** The member `name` (without escapes) of the object whose opening brace is at `open`, or undefined where it has none. */
export function findMember(bytes: Buffer, open: number, name: string): MemberRange | undefined {
  let at = open + 1;
  while (bytes[at] === quote) {
    const colon = afterString(bytes, at);
    const end = afterValue(bytes, colon + 1);
    const found = colon - at - 2 === name.length && bytes.toString('latin1', at + 1, colon - 1) === name;
    const last = bytes[end] !== comma;
    if (found) return { start: colon + 1, end, cutStart: last && at - 1 > open ? at - 1 : at, cutEnd: last ? end : end + 1 };
    if (last) return undefined;
    at = end + 1;
  }
  return undefined;
}
