import { ingressClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const ingressClassKind = defineKind(ingressClasses, { generation: 'spec' });
