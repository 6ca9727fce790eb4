import { replicationControllers } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const replicationControllerKind = defineKind(replicationControllers, {
  hasStatus: true,
  generation: 'spec',
  defaultPropagation: 'Orphan',
});
