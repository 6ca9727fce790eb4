import type { Clock } from '#platform/clock.ts';

/**
 * What a controller has asked for and not yet seen in its informer: until then it must not count again. Semantics of
 * UIDTrackingControllerExpectations (k8s.io/kubernetes pkg/controller/controller_utils.go), five-minute expiry included.
 */
export interface Expectations {
  readonly satisfied: (key: string) => boolean;
  readonly expectCreations: (key: string, count: number) => void;
  /** `objects`: keys of the objects whose deletion is awaited. */
  readonly expectDeletions: (key: string, objects: readonly string[]) => void;
  readonly creationObserved: (key: string) => void;
  readonly deletionObserved: (key: string, object: string) => void;
  readonly forget: (key: string) => void;
}

interface Expected {
  creations: number;
  readonly deletions: Set<string>;
  readonly sinceMs: number;
}

const expiryMs = 300_000;

export function createExpectations(clock: Clock): Expectations {
  const all = new Map<string, Expected>();
  const fresh = (): Expected => ({ creations: 0, deletions: new Set(), sinceMs: clock.monotonic() });
  return {
    satisfied: (key) => {
      const e = all.get(key);
      return e === undefined || (e.creations <= 0 && e.deletions.size === 0) || clock.monotonic() - e.sinceMs > expiryMs;
    },
    expectCreations: (key, count) => {
      const old = all.get(key);
      all.set(key, { ...fresh(), creations: count, deletions: old?.deletions ?? new Set() });
    },
    expectDeletions: (key, objects) => {
      const old = all.get(key);
      all.set(key, { ...fresh(), creations: old?.creations ?? 0, deletions: new Set([...(old?.deletions ?? []), ...objects]) });
    },
    creationObserved: (key) => {
      const e = all.get(key);
      if (e !== undefined && e.creations > 0) e.creations--;
    },
    deletionObserved: (key, object) => void all.get(key)?.deletions.delete(object),
    forget: (key) => void all.delete(key),
  };
}
