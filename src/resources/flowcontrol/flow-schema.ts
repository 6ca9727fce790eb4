import { flowSchemas } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const flowSchemaKind = defineKind(flowSchemas, { hasStatus: true, generation: 'spec' });
