/** Where a load balancer is reached, in the status of services and ingresses. */
import type { FieldError } from '#kube/status-error.ts';
import { ipAddress, isIpText } from '#kube/validation/addresses.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { dnsSubdomain } from '#kube/validation/values.ts';

interface Point {
  readonly ip?: string;
  readonly hostname?: string;
  readonly ipMode?: string;
}

const ipsOf = (points: readonly Point[] | undefined): string[] => (points ?? []).flatMap(({ ip }) => ip ?? []);

function hostname(field: string, name: string): FieldError[] {
  const errors = dnsSubdomain(field, name);
  return isIpText(name) ? [...errors, fieldInvalid(field, name, 'must be a DNS name, not an IP address')] : errors;
}

function ipMode(field: string, { ip = '', ipMode: mode }: Point): FieldError[] {
  if (mode === undefined) return ip === '' ? [] : [fieldRequired(field, 'must be specified when `ip` is set')];
  if (ip === '') return [fieldForbidden(field, 'may not be specified when `ip` is not set')];
  return mode === 'Proxy' || mode === 'VIP' ? [] : [fieldNotSupported(field, mode, ['Proxy', 'VIP'])];
}

const field = 'status.loadBalancer.ingress';

/** ValidateIngressLoadBalancerStatus; `withMode`: ValidateLoadBalancerStatus, that of services. */
export function loadBalancerPoints(
  points: readonly Point[] | undefined,
  old: readonly Point[] | undefined,
  withMode: boolean,
): FieldError[] {
  const known = ipsOf(old);
  return (points ?? []).flatMap((point, i) => [
    ...((point.ip ?? '') === '' ? [] : ipAddress(`${field}[${i}].ip`, point.ip ?? '', known)),
    ...(withMode ? ipMode(`${field}[${i}].ipMode`, point) : []),
    ...((point.hostname ?? '') === '' ? [] : hostname(`${field}[${i}].hostname`, point.hostname ?? '')),
  ]);
}

/** Only services of type LoadBalancer are reached through one. */
export const noLoadBalancer = (): FieldError[] => [fieldForbidden(field, "may only be used when `spec.type` is 'LoadBalancer'")];
