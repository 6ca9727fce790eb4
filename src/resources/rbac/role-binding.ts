import { roleBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { bindingDefaults, bindingTable } from './binding.ts';
import { validateRoleBinding, validateRoleBindingUpdate } from './validation.ts';

export const roleBindingKind = defineKind(roleBindings, {
  validate: validateRoleBinding,
  validateUpdate: validateRoleBindingUpdate,
  nameFormat: 'path',
  createOnUpdate: true,
  defaults: bindingDefaults,
  table: bindingTable,
});
