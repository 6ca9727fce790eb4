import type { ResourceClaim } from '#kube/generated/resource-v1.ts';
import { resourceClaims } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { resourceClaimSpecDefaults } from './claim.ts';
import { validateResourceClaim, validateResourceClaimStatus, validateResourceClaimUpdate } from './claim-validation.ts';

function stateText(claim: ResourceClaim): string {
  const deleted = claim.metadata.deletionTimestamp !== undefined;
  const states = deleted ? ['deleted'] : [];
  if (claim.status?.allocation === undefined) return deleted ? 'deleted' : 'pending';
  states.push('allocated');
  if ((claim.status.reservedFor ?? []).length > 0) states.push('reserved');
  return states.join(',');
}

export const resourceClaimKind = defineKind(resourceClaims, {
  validate: validateResourceClaim,
  validateUpdate: validateResourceClaimUpdate,
  validateStatusUpdate: validateResourceClaimStatus,
  hasStatus: true,
  statusKeepsMetadata: 'all',
  defaults: (object) => resourceClaimSpecDefaults(object.spec),
  table: {
    columns: [nameColumn, column('State', 'Whether devices are allocated and used.'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', stateText(object), ageOf(object, now)],
  },
});
