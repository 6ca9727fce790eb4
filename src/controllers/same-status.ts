import { isDeepStrictEqual } from 'node:util';

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === 0 ||
  value === '' ||
  value === false ||
  (typeof value === 'object' && Object.keys(value).length === 0);

function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== 'object' || value === null) return value;
  const out: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    const kept = withoutEmpty(inner);
    if (!isEmpty(kept)) out[key] = kept;
  }
  return out;
}

/** Whether a status says the same as another: the server leaves out zeros and empty lists of many fields, and writes others. */
export const sameStatus = (a: unknown, b: unknown): boolean =>
  isDeepStrictEqual(a, b) || isDeepStrictEqual(withoutEmpty(a ?? {}), withoutEmpty(b ?? {}));
