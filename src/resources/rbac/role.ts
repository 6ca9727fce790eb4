import { roles } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const roleKind = defineKind(roles, { nameFormat: 'path', createOnUpdate: true });
