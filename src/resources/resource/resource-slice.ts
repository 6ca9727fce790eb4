import { resourceSlices } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const resourceSliceKind = defineKind(resourceSlices, { generation: 'spec' });
