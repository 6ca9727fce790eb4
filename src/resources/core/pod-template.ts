import { podTemplates } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const podTemplateKind = defineKind(podTemplates, { generation: 'spec' });
