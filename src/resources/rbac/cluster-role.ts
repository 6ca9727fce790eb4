import { clusterRoles } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const clusterRoleKind = defineKind(clusterRoles, { nameFormat: 'path', createOnUpdate: true });
