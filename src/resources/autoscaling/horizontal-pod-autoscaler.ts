import { horizontalPodAutoscalers } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { hpaDefaults } from './defaults.ts';
import { hpaTable } from './table.ts';
import { validateHpa } from './validation.ts';

export const horizontalPodAutoscalerKind = defineKind(horizontalPodAutoscalers, {
  validate: validateHpa,
  hasStatus: true,
  defaults: hpaDefaults,
  table: hpaTable,
});
