import { roleBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const roleBindingKind = defineKind(roleBindings, { nameFormat: 'path', createOnUpdate: true });
