import { horizontalPodAutoscalers } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { hpaDefaults } from './defaults.ts';
import { hpaTable } from './table.ts';
import { validateHpa, validateHpaStatus, validateHpaUpdate } from './validation.ts';

export const horizontalPodAutoscalerKind = defineKind(horizontalPodAutoscalers, {
  validate: validateHpa,
  validateUpdate: validateHpaUpdate,
  validateStatusUpdate: validateHpaStatus,
  hasStatus: true,
  defaults: hpaDefaults,
  table: hpaTable,
});
