/** What a LimitRange item says against amounts, in upstream's words. */
import type { LimitRange, PodSpec } from '#kube/generated/core-v1.ts';
import { type Amounts, podLimits, podRequests } from '#kube/pod-resources.ts';
import { compareQuantity, formatQuantity, parseQuantity, quantityValue, toNumber } from '#kube/quantity.ts';

type Item = NonNullable<LimitRange['spec']>['limits'][number];
type Amount = string | number;

const shown = (amount: Amount): string => formatQuantity(parseQuantity(amount));

interface Observed {
  readonly resource: string;
  readonly type: string;
  readonly request: Amount | undefined;
  readonly limit: Amount | undefined;
}

function minimum(o: Observed, enforced: Amount): string | undefined {
  const what = `minimum ${o.resource} usage per ${o.type} is ${shown(enforced)}`;
  if (o.request === undefined) return `${what}.  No request is specified`;
  if (compareQuantity(o.request, enforced) < 0) return `${what}, but request is ${shown(o.request)}`;
  if (o.limit !== undefined && compareQuantity(o.limit, enforced) < 0) return `${what}, but limit is ${shown(o.limit)}`;
  return undefined;
}

function maximum(o: Observed, enforced: Amount): string | undefined {
  const what = `maximum ${o.resource} usage per ${o.type} is ${shown(enforced)}`;
  if (o.limit === undefined) return `${what}.  No limit is specified`;
  if (compareQuantity(o.limit, enforced) > 0) return `${what}, but limit is ${shown(o.limit)}`;
  if (o.request !== undefined && compareQuantity(o.request, enforced) > 0) return `${what}, but request is ${shown(o.request)}`;
  return undefined;
}

function maximumRequest(o: Observed, enforced: Amount): string | undefined {
  const what = `maximum ${o.resource} usage per ${o.type} is ${shown(enforced)}`;
  if (o.request === undefined) return `${what}.  No request is specified`;
  return compareQuantity(o.request, enforced) > 0 ? `${what}, but request is ${shown(o.request)}` : undefined;
}

function ratio(o: Observed, enforced: Amount): string | undefined {
  const what = `${o.resource} max limit to request ratio per ${o.type} is ${shown(enforced)}`;
  if (o.request === undefined || quantityValue(o.request) === 0n) return `${what}, but no request is specified or request is 0`;
  if (o.limit === undefined || quantityValue(o.limit) === 0n) return `${what}, but no limit is specified or limit is 0`;
  const observed = toNumber(o.limit) / toNumber(o.request);
  return observed > toNumber(enforced) ? `${what}, but provided ratio is ${observed.toFixed(6)}` : undefined;
}

function check(item: Item, requests: Amounts, limits: Amounts): string[] {
  const observed = (resource: string): Observed => ({ resource, type: item.type, request: requests[resource], limit: limits[resource] });
  const each = (amounts: Amounts | undefined, rule: (o: Observed, enforced: Amount) => string | undefined): string[] =>
    Object.entries(amounts ?? {}).flatMap(([name, enforced]) => rule(observed(name), enforced) ?? []);
  return [...each(item.min, minimum), ...each(item.max, maximum), ...each(item.maxLimitRequestRatio, ratio)];
}

function claim(item: Item, requests: Amounts): string[] {
  const observed = (resource: string): Observed => ({ resource, type: item.type, request: requests[resource], limit: undefined });
  return [
    ...Object.entries(item.min ?? {}).flatMap(([name, enforced]) => minimum(observed(name), enforced) ?? []),
    ...Object.entries(item.max ?? {}).flatMap(([name, enforced]) => maximumRequest(observed(name), enforced) ?? []),
  ];
}

/** The problems that an item of a LimitRange has with what is asked for. */
export const limitErrors = {
  containers: (item: Item, spec: PodSpec): string[] =>
    [...spec.containers, ...(spec.initContainers ?? [])].flatMap((c) =>
      check(item, c.resources?.requests ?? {}, c.resources?.limits ?? {}),
    ),
  pod: (item: Item, spec: PodSpec): string[] => check(item, podRequests(spec), podLimits(spec)),
  claim,
} as const;
