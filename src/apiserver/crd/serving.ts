/**
 * One state of a definition at work. When it changes, requests that began under it end under it, and then its watches end, so that
 * clients begin anew: tearDown of k8s.io/apiextensions-apiserver pkg/apiserver/customresource_handler.go.
 */
import type { KindServing } from '#kube/kind.ts';

export interface Serving extends KindServing {
  /** Resolves when no request is under way. */
  readonly drained: () => Promise<void>;
  /** Ends the watches when the requests are answered. */
  readonly end: () => Promise<void>;
}

export function createServing(): Serving {
  const over = new AbortController();
  let requests = 0;
  let waiting: (() => void)[] = [];
  const drained = (): Promise<void> => (requests === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve)));
  const leave = (): void => {
    if (--requests > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  };
  return {
    enter: () => {
      requests++;
      let inside = true;
      return () => {
        if (!inside) return;
        inside = false;
        leave();
      };
    },
    ended: over.signal,
    drained,
    end: async () => {
      await drained();
      over.abort();
    },
  };
}
