import { csiDrivers } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const csiDriverKind = defineKind(csiDrivers, { generation: 'spec', unconditionalUpdate: false });
