/** The status subresource of any kind: only status, and of most kinds metadata, is written. */
import type { Draft, KindDef } from '#kube/kind.ts';
import type { Stored } from '#kube/object.ts';
import { metaOf } from '../meta.ts';
import type { UpdatePart } from '../verbs/write.ts';

/** Makes everything but metadata, and what is named, the old object's again. */
export function restoreBody(draft: Draft, old: Stored, written: string): void {
  const keep = new Set(['kind', 'apiVersion', 'metadata', written]);
  for (const key of Object.keys(draft)) if (!keep.has(key)) delete draft[key];
  for (const [key, value] of Object.entries(old)) if (!keep.has(key)) draft[key] = structuredClone(value);
}

const allKept = ['labels', 'annotations', 'finalizers', 'ownerReferences'] as const;

/** The fields of metadata that a write of status leaves as they are. */
export const keptByStatus = (def: KindDef): readonly (typeof allKept)[number][] =>
  def.statusKeepsMetadata === 'all' ? allKept : (def.statusKeepsMetadata ?? []);

export function statusPart(def: KindDef): UpdatePart {
  return {
    restrict: (draft, old, context) => {
      restoreBody(draft, old, 'status');
      const meta = metaOf(draft);
      for (const field of keptByStatus(def)) {
        if (old.metadata[field] === undefined) delete meta[field];
        else Object.assign(meta, { [field]: structuredClone(old.metadata[field]) });
      }
      def.prepareForStatusUpdate?.(draft, old, context);
    },
    validate: (object, old, context) => def.validateStatusUpdate?.(object, old, context) ?? [],
  };
}
