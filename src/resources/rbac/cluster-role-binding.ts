import { clusterRoleBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const clusterRoleBindingKind = defineKind(clusterRoleBindings, { nameFormat: 'path', createOnUpdate: true });
