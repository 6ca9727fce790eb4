/** Ports that services are reachable at on every node. */
import type { Random } from '#platform/random.ts';
import { createRange } from './range.ts';

export interface NodePorts {
  /** Undefined: taken. Else why it cannot be had, in upstream's words. */
  readonly take: (port: number) => string | undefined;
  readonly takeAny: () => number | undefined;
  readonly release: (port: number) => void;
}

export function createNodePorts(range: { readonly from: number; readonly to: number }, random: Random): NodePorts {
  const { from, to } = range;
  const size = to - from + 1;
  const ports = createRange(size, Math.min(Math.max(16, Math.floor(size / 32)), 128, Math.floor(size / 2)), random);
  const inside = (port: number): boolean => port >= from && port <= to;
  return {
    take: (port) => {
      if (!inside(port)) return `provided port is not in the valid range. The range of valid ports is ${from}-${to}`;
      return ports.take(port - from) ? undefined : 'provided port is already allocated';
    },
    takeAny: () => {
      const offset = ports.takeAny();
      return offset === undefined ? undefined : from + offset;
    },
    release: (port) => {
      if (inside(port)) ports.release(port - from);
    },
  };
}
