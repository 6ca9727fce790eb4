import { deviceClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const deviceClassKind = defineKind(deviceClasses, { generation: 'spec' });
