import type { HorizontalPodAutoscaler } from '#kube/generated/autoscaling-v2.ts';
import type { Draft } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import { horizontalPodAutoscalers1 } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { hpaFromV2, hpaToV2 } from './convert.ts';
import { hpaTable } from './table.ts';
import { validateHpa, validateHpaStatus, validateHpaUpdate } from './validation.ts';

const asV2 = (object: KubeObject): HorizontalPodAutoscaler => hpaToV2(object as unknown as Draft) as unknown as HorizontalPodAutoscaler;

/** The older view of an autoscaler: stored as autoscaling/v2. */
export const horizontalPodAutoscaler1Kind = defineKind(horizontalPodAutoscalers1, {
  validate: (object) => validateHpa(asV2(object)),
  validateUpdate: (object, old) => validateHpaUpdate(asV2(object), asV2(old)),
  validateStatusUpdate: (object) => validateHpaStatus(asV2(object)),
  hasStatus: true,
  storage: { group: 'autoscaling', plural: 'horizontalpodautoscalers', version: 'v2' },
  convert: { fromStored: hpaFromV2, toStored: hpaToV2 },
  defaults: (object) => {
    if (object.spec !== undefined) object.spec.minReplicas ??= 1;
  },
  table: {
    columns: hpaTable.columns,
    cells: (object, now) => hpaTable.cells(asV2(object), now),
  },
});
