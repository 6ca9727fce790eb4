import { serviceCIDRs } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateServiceCidr, validateServiceCidrUpdate } from './address-validation.ts';

export const serviceCidrKind = defineKind(serviceCIDRs, {
  validate: validateServiceCidr,
  validateUpdate: validateServiceCidrUpdate,
  hasStatus: true,
  table: {
    columns: [nameColumn, column('CIDRs', 'The ranges that addresses of services are taken from.'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', (object.spec?.cidrs ?? []).join(','), ageOf(object, now)],
  },
});
