import { roles } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { validateRole } from './validation.ts';

export const roleKind = defineKind(roles, {
  validate: validateRole,
  nameFormat: 'path',
  createOnUpdate: true,
});
