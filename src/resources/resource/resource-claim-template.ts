import { resourceClaimTemplates } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, nameColumn } from '../print.ts';
import { resourceClaimSpecDefaults } from './claim.ts';
import { validateResourceClaimTemplate, validateResourceClaimTemplateUpdate } from './claim-validation.ts';

export const resourceClaimTemplateKind = defineKind(resourceClaimTemplates, {
  validate: validateResourceClaimTemplate,
  validateUpdate: validateResourceClaimTemplateUpdate,
  defaults: (object) => resourceClaimSpecDefaults(object.spec?.spec),
  table: { columns: [nameColumn, ageColumn], cells: (object, now) => [object.metadata.name ?? '', ageOf(object, now)] },
});
