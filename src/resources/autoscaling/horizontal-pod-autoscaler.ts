import { horizontalPodAutoscalers } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { hpaDefaults } from './defaults.ts';
import { hpaTable } from './table.ts';

export const horizontalPodAutoscalerKind = defineKind(horizontalPodAutoscalers, {
  hasStatus: true,
  defaults: hpaDefaults,
  table: hpaTable,
});
