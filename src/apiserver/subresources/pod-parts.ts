/** pods/ephemeralcontainers and pods/resize: the parts of a running pod's spec that may change. */
import type { Container, EphemeralContainer } from '#kube/generated/core-v1.ts';
import type { Draft } from '#kube/kind.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { metaOf, specChanged } from '../meta.ts';
import type { UpdatePart } from '../verbs/write.ts';

/** Makes the draft the old object again, but for what `change` then puts in, managedFields and the generation. */
export function keepOld(draft: Draft, old: Stored, change: (draft: Draft) => void): void {
  const { managedFields } = draft.metadata;
  for (const key of Object.keys(draft)) delete draft[key];
  Object.assign(draft, structuredClone(old));
  const meta = metaOf(draft);
  if (managedFields === undefined) delete meta.managedFields;
  else meta.managedFields = managedFields;
  change(draft);
  if (meta.generation !== undefined && specChanged(draft as unknown as KubeObject, old)) meta.generation += 1;
}

interface SpecDraft {
  ephemeralContainers?: EphemeralContainer[];
  containers?: Container[];
  initContainers?: Container[];
}

const specOf = (draft: Draft | KubeObject): SpecDraft => ((draft as Draft)['spec'] ?? {}) as SpecDraft;

export const ephemeralContainersPart: UpdatePart = {
  restrict: (draft, old) => {
    const { ephemeralContainers } = specOf(draft);
    keepOld(draft, old, (kept) => {
      const spec = specOf(kept);
      if (ephemeralContainers === undefined) delete spec.ephemeralContainers;
      else spec.ephemeralContainers = ephemeralContainers;
    });
  },
};

export const resizePart: UpdatePart = {
  restrict: (draft, old) => {
    const sent = specOf(draft);
    keepOld(draft, old, (kept) => {
      const spec = specOf(kept);
      for (const list of ['containers', 'initContainers'] as const)
        spec[list]?.forEach((container, i, all) => {
          const wanted = sent[list]?.find((c) => c.name === container.name);
          if (wanted === undefined) return;
          const { resources: _resources, resizePolicy: _policy, ...rest } = container;
          all[i] = {
            ...rest,
            ...(wanted.resources === undefined ? {} : { resources: wanted.resources }),
            ...(wanted.resizePolicy === undefined ? {} : { resizePolicy: wanted.resizePolicy }),
          };
        });
    });
  },
};
