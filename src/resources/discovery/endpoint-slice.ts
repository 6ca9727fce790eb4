import { endpointSlices } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const endpointSliceKind = defineKind(endpointSlices, { generation: 'spec' });
