/**
 * Lets pods stay 300 s on a node that is not ready or cannot be reached, unless they say otherwise
 * (k8s.io/kubernetes plugin/pkg/admission/defaulttolerationseconds).
 */
import type { Pod, Toleration } from '#kube/generated/core-v1.ts';
import type { AdmissionPlugin } from '../contract.ts';
import { isPod, objectAs } from './attributes.ts';

const taints = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

const tolerates = (t: Toleration, taint: string): boolean =>
  ((t.key ?? '') === '' || t.key === taint) && ((t.effect ?? '') === '' || t.effect === 'NoExecute');

export function createDefaultTolerationSeconds(seconds = 300): AdmissionPlugin {
  return {
    name: 'DefaultTolerationSeconds',
    handles: (r) => isPod(r, 'CREATE', 'UPDATE'),
    admit: (r) => {
      const spec = objectAs<Pod>(r).spec;
      if (r.object === undefined || spec === undefined) return;
      const tolerations = spec.tolerations ?? [];
      const missing = taints.filter((taint) => !tolerations.some((t) => tolerates(t, taint)));
      if (missing.length === 0) return;
      const added = missing.map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: seconds }));
      r.object['spec'] = { ...spec, tolerations: [...tolerations, ...added] };
    },
  };
}
