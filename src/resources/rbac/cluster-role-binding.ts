import { clusterRoleBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { bindingDefaults, bindingTable } from './binding.ts';

export const clusterRoleBindingKind = defineKind(clusterRoleBindings, {
  nameFormat: 'path',
  createOnUpdate: true,
  defaults: bindingDefaults,
  table: bindingTable,
});
