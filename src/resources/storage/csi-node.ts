import { csiNodes } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const csiNodeKind = defineKind(csiNodes, { unconditionalUpdate: false });
