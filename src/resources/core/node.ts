import { nodes } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const nodeKind = defineKind(nodes, { hasStatus: true, subresources: ['proxy'] });
