/** Hashes of pod templates, as short as upstream's: FNV-32a, written with letters that form no words. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** k8s.io/apimachinery pkg/util/rand SafeEncodeString. */
export const safeEncode = (text: string): string => Array.from(text, (c) => alphabet[c.charCodeAt(0) % alphabet.length]).join('');

export function fnv32a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** JSON with the keys in order: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** The value of pod-template-hash. `collisions` makes another one of the same template after a clash of names. */
export const templateHash = (template: unknown, collisions: number | undefined): string =>
  safeEncode(String(fnv32a(`${canonicalJson(template)}${collisions ?? ''}`)));
