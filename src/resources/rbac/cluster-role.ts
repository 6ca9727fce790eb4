import { clusterRoles } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { validateClusterRole } from './validation.ts';

export const clusterRoleKind = defineKind(clusterRoles, {
  validate: validateClusterRole,
  nameFormat: 'path',
  createOnUpdate: true,
});
