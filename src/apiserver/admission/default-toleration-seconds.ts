/**
 * Lets pods stay 300 s on a node that is not ready or cannot be reached, unless they say otherwise
 * (k8s.io/kubernetes plugin/pkg/admission/defaulttolerationseconds).
 */
import type { Pod, Toleration } from '#kube/generated/core-v1.ts';
import type { AdmissionPlugin } from '../contract.ts';
import { isPod, objectAs } from './attributes.ts';

/** How long pods stay on a node that is not ready, or cannot be reached. */
export interface TolerationSeconds {
  readonly notReady: number;
  readonly unreachable: number;
}

export const defaultTolerationSeconds: TolerationSeconds = { notReady: 300, unreachable: 300 };

const tolerates = (t: Toleration, taint: string): boolean =>
  ((t.key ?? '') === '' || t.key === taint) && ((t.effect ?? '') === '' || t.effect === 'NoExecute');

export function createDefaultTolerationSeconds(seconds: TolerationSeconds = defaultTolerationSeconds): AdmissionPlugin {
  const taints = { 'node.kubernetes.io/not-ready': seconds.notReady, 'node.kubernetes.io/unreachable': seconds.unreachable };
  return {
    name: 'DefaultTolerationSeconds',
    handles: (r) => isPod(r, 'CREATE', 'UPDATE'),
    admit: (r) => {
      const spec = objectAs<Pod>(r).spec;
      if (r.object === undefined || spec === undefined) return;
      const tolerations = spec.tolerations ?? [];
      const missing = Object.entries(taints).filter(([taint]) => !tolerations.some((t) => tolerates(t, taint)));
      if (missing.length === 0) return;
      const added = missing.map(([key, tolerationSeconds]) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds }));
      r.object['spec'] = { ...spec, tolerations: [...tolerations, ...added] };
    },
  };
}
