import { resourceClaimTemplates } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, nameColumn } from '../print.ts';
import { resourceClaimSpecDefaults } from './claim.ts';

export const resourceClaimTemplateKind = defineKind(resourceClaimTemplates, {
  defaults: (object) => resourceClaimSpecDefaults(object.spec?.spec),
  table: { columns: [nameColumn, ageColumn], cells: (object, now) => [object.metadata.name ?? '', ageOf(object, now)] },
});
