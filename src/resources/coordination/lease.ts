import { leases } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateLease } from './validation.ts';

export const leaseKind = defineKind(leases, {
  validate: validateLease,
  durability: 'lazy',
  createOnUpdate: true,
  unconditionalUpdate: false,
  table: {
    columns: [nameColumn, column('Holder', 'Who holds the lease.'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', object.spec?.holderIdentity ?? '', ageOf(object, now)],
  },
});
