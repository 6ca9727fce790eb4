import { randomBytes, randomUUID } from 'node:crypto';

export interface Random {
  readonly bytes: (count: number) => Uint8Array;
  readonly uuid: () => string;
  /** A number in [0, 1). */
  readonly fraction: () => number;
  /** Upstream's safe alphabet (k8s.io/apimachinery pkg/util/rand): no vowels, so no words. Used for name suffixes. */
  readonly suffix: (length: number) => string;
}

const safe = 'bcdfghjklmnpqrstvwxz2456789';
const suffixOf = (bytes: Uint8Array): string => Array.from(bytes, (b) => safe[b % safe.length]).join('');

export const realRandom: Random = {
  bytes: (count) => randomBytes(count),
  uuid: () => randomUUID(),
  fraction: () => Math.random(),
  suffix: (length) => suffixOf(randomBytes(length)),
};

/** Repeatable randomness for tests: a linear congruential generator. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const fraction = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const bytes = (count: number): Uint8Array => Uint8Array.from({ length: count }, () => Math.floor(fraction() * 256));
  return {
    bytes,
    fraction,
    uuid: () => {
      const hex = Buffer.from(bytes(16)).toString('hex');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
    },
    suffix: (length) => suffixOf(bytes(length)),
  };
}
