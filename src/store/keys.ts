/** The least string that is greater than every string beginning with `prefix`; undefined for the empty prefix. */
export function prefixEnd(prefix: string): string | undefined {
  if (prefix === '') return undefined;
  const last = prefix.charCodeAt(prefix.length - 1);
  return last === 0xffff ? prefixEnd(prefix.slice(0, -1)) : prefix.slice(0, -1) + String.fromCharCode(last + 1);
}

/** The range of keys that a list asks for: those of the prefix that come after `after`. */
export function listRange(prefix: string, after: string | undefined): { readonly from: string; readonly to: string | undefined } {
  const from = after === undefined || after < prefix ? prefix : `${after}\0`;
  return { from, to: prefixEnd(prefix) };
}

/** A view on memory of its own, so that a small value does not keep a large buffer alive. */
export function ownBytes(value: Uint8Array): Uint8Array {
  return value.byteLength === value.buffer.byteLength ? value : Uint8Array.prototype.slice.call(value);
}
