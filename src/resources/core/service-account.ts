import { serviceAccounts } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';

export const serviceAccountKind = defineKind(serviceAccounts, {
  returnsDeleted: true,
  subresources: ['token'],
  table: {
    columns: [nameColumn, column('Secrets', 'The number of secrets that the account names.', 'integer'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', object.secrets?.length ?? 0, ageOf(object, now)],
  },
});
