/** The status subresource of any kind: only status (and managedFields) is written. */
import type { KindDef } from '#kube/kind.ts';
import { metaOf } from '../meta.ts';
import type { UpdatePart } from '../verbs/write.ts';

/** What an update of .../status may change: everything but status and managedFields is taken from the old object. */
export function statusPart(def: KindDef): UpdatePart {
  return {
    restrict: (draft, old, context) => {
      const { status } = draft;
      const { managedFields } = draft.metadata;
      for (const key of Object.keys(draft)) if (key !== 'kind' && key !== 'apiVersion') delete draft[key];
      const kept = structuredClone(old) as unknown as Record<string, unknown>;
      for (const [key, value] of Object.entries(kept)) if (key !== 'status') draft[key] = value;
      if (status !== undefined) draft['status'] = status;
      const meta = metaOf(draft);
      if (managedFields === undefined) delete meta.managedFields;
      else meta.managedFields = managedFields;
      def.prepareForStatusUpdate?.(draft, old, context);
    },
    validate: (object, old, context) => def.validateStatusUpdate?.(object, old, context) ?? [],
  };
}
