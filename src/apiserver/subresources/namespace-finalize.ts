/** namespaces/finalize: the namespace controller takes its finalizer away, and the namespace goes. */
import type { UpdatePart } from '../verbs/write.ts';
import { keepOld } from './pod-parts.ts';

export const finalizePart: UpdatePart = {
  restrict: (draft, old) => {
    const finalizers = (draft['spec'] as { finalizers?: string[] } | undefined)?.finalizers;
    keepOld(draft, old, (kept) => {
      const spec = (kept['spec'] ?? {}) as { finalizers?: string[] };
      kept['spec'] = spec;
      if (finalizers === undefined || finalizers.length === 0) delete spec.finalizers;
      else spec.finalizers = finalizers;
    });
  },
};
