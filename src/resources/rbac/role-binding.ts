import { roleBindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { bindingDefaults, bindingTable } from './binding.ts';

export const roleBindingKind = defineKind(roleBindings, {
  nameFormat: 'path',
  createOnUpdate: true,
  defaults: bindingDefaults,
  table: bindingTable,
});
