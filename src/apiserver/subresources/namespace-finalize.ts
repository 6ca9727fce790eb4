/** namespaces/finalize: the namespace controller takes its finalizer away, and the namespace goes. */
import type { Namespace } from '#kube/generated/core-v1.ts';
import { finalizerName } from '#kube/validation/values.ts';
import type { UpdatePart } from '../verbs/write.ts';
import { restoreBody } from './status.ts';

export const finalizePart: UpdatePart = {
  restrict: (draft, old) => {
    const finalizers = (draft['spec'] as { finalizers?: string[] } | undefined)?.finalizers;
    restoreBody(draft, old, '');
    const spec = (draft['spec'] ?? {}) as { finalizers?: string[] };
    draft['spec'] = spec;
    if (finalizers === undefined || finalizers.length === 0) delete spec.finalizers;
    else spec.finalizers = finalizers;
  },
  validate: (object) => ((object as Namespace).spec?.finalizers ?? []).flatMap((name, i) => finalizerName(`spec.finalizers[${i}]`, name)),
};
