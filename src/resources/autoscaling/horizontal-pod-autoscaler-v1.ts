import { horizontalPodAutoscalers1 } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { hpaFromV2, hpaToV2 } from './convert.ts';

/** The older view of an autoscaler: stored as autoscaling/v2. */
export const horizontalPodAutoscaler1Kind = defineKind(horizontalPodAutoscalers1, {
  hasStatus: true,
  storage: { group: 'autoscaling', plural: 'horizontalpodautoscalers', version: 'v2' },
  convert: { fromStored: hpaFromV2, toStored: hpaToV2 },
});
