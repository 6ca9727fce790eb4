import { leases } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';

export const leaseKind = defineKind(leases, {
  durability: 'lazy',
  createOnUpdate: true,
  unconditionalUpdate: false,
  table: {
    columns: [nameColumn, column('Holder', 'Who holds the lease.'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', object.spec?.holderIdentity ?? '', ageOf(object, now)],
  },
});
