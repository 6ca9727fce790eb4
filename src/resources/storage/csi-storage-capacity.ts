import { csiStorageCapacities } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const csiStorageCapacityKind = defineKind(csiStorageCapacities, { unconditionalUpdate: false });
