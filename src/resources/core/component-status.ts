import { componentStatuses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

/** Health of control plane parts (deprecated upstream): computed, never stored. */
export const componentStatusKind = defineKind(componentStatuses, { verbs: ['get', 'list'], ephemeral: true });
