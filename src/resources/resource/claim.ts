/** What ResourceClaim and ResourceClaimTemplate have in common. */
import type { DeviceRequest, ResourceClaimSpec } from '#kube/generated/resource-v1.ts';
import type { Mutable } from '../define.ts';

interface Amount {
  allocationMode?: string;
  count?: number;
}

function amountDefaults(request: Amount | undefined): void {
  if (request === undefined) return;
  request.allocationMode ||= 'ExactCount';
  if (request.allocationMode === 'ExactCount') request.count ||= 1;
}

function requestDefaults(request: Mutable<DeviceRequest>): void {
  amountDefaults(request.exactly);
  for (const alternative of request.firstAvailable ?? []) amountDefaults(alternative);
}

/** Defaults of the spec of a claim. */
export function resourceClaimSpecDefaults(spec: Mutable<ResourceClaimSpec> | undefined): void {
  for (const request of spec?.devices?.requests ?? []) requestDefaults(request);
}
