import type { ResourceQuota } from '#kube/generated/core-v1.ts';
import { resourceQuotas } from '#kube/refs.ts';
import { ownValue } from '#kube/validation/values.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateResourceQuota, validateResourceQuotaStatus, validateResourceQuotaUpdate } from './limits-validation.ts';
import { roundResources } from './pod-defaults.ts';

/** `pods: 1/10, …` of the resources that are limits, or of the others. */
function usage(quota: ResourceQuota, limits: boolean): string {
  return Object.entries(quota.status?.hard ?? {})
    .filter(([name]) => name.startsWith('limits') === limits)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, hard]) => `${name}: ${ownValue(quota.status?.used, name) ?? 0}/${hard}`)
    .join(', ');
}

export const resourceQuotaKind = defineKind(resourceQuotas, {
  returnsDeleted: true,
  validate: validateResourceQuota,
  validateUpdate: validateResourceQuotaUpdate,
  validateStatusUpdate: validateResourceQuotaStatus,
  hasStatus: true,
  defaults: (object) => roundResources(object.spec?.hard),
  table: {
    columns: [
      nameColumn,
      column('Request', 'Used and allowed amounts of requests and objects.'),
      column('Limit', 'Used and allowed amounts of limits.'),
      ageColumn,
    ],
    cells: (object, now) => [object.metadata.name ?? '', usage(object, false), usage(object, true), ageOf(object, now)],
  },
});
