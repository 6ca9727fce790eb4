/** Numbers handed out once: offsets in a network, node ports. Upstream's allocator.AllocationBitmap with its static band. */
import type { Random } from '#platform/random.ts';

export interface RangeAllocator {
  /** False: it is taken. */
  readonly take: (offset: number) => boolean;
  /** A free number, or undefined when there is none. The lower band is used last: people ask for numbers there by name. */
  readonly takeAny: () => number | undefined;
  readonly release: (offset: number) => void;
  readonly has: (offset: number) => boolean;
  readonly used: () => number;
}

/** Numbers 0 to size - 1; those below `staticBand` are handed out only when the others are used up. */
export function createRange(size: number, staticBand: number, random: Random): RangeAllocator {
  const used = new Set<number>();
  const search = (from: number, to: number): number | undefined => {
    const count = to - from;
    if (count <= 0) return undefined;
    const start = Math.floor(random.fraction() * count);
    for (let i = 0; i < count; i++) {
      const offset = from + ((start + i) % count);
      if (!used.has(offset)) return offset;
    }
    return undefined;
  };
  return {
    take: (offset) => {
      if (used.has(offset)) return false;
      used.add(offset);
      return true;
    },
    takeAny: () => {
      if (used.size >= size) return undefined;
      const found = search(staticBand, size) ?? search(0, staticBand);
      if (found !== undefined) used.add(found);
      return found;
    },
    release: (offset) => {
      used.delete(offset);
    },
    has: (offset) => used.has(offset),
    used: () => used.size,
  };
}
