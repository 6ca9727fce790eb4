import { clusterRoleBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { bindingDefaults, bindingTable } from './binding.ts';
import { validateClusterRoleBinding, validateClusterRoleBindingUpdate } from './validation.ts';

export const clusterRoleBindingKind = defineKind(clusterRoleBindings, {
  validate: validateClusterRoleBinding,
  validateUpdate: validateClusterRoleBindingUpdate,
  nameFormat: 'path',
  createOnUpdate: true,
  defaults: bindingDefaults,
  table: bindingTable,
});
