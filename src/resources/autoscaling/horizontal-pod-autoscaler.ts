import { horizontalPodAutoscalers } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const horizontalPodAutoscalerKind = defineKind(horizontalPodAutoscalers, { hasStatus: true });
