import type { Container, PodSpec } from '#kube/generated/core-v1.ts';
import { compareQuantity, quantitySign } from '#kube/quantity.ts';
import type { Quantity } from '#kube/schema.ts';

type Amounts = Readonly<Record<string, Quantity>> | undefined;

const counted = ['cpu', 'memory'];

const positive = (amounts: Amounts, name: string): Quantity | undefined => {
  const amount = amounts?.[name];
  return amount !== undefined && quantitySign(amount) > 0 ? amount : undefined;
};

function guaranteed(resources: { readonly requests?: Amounts; readonly limits?: Amounts } | undefined): boolean {
  return counted.every((name) => {
    const limit = positive(resources?.limits, name);
    const request = positive(resources?.requests, name) ?? limit;
    return limit !== undefined && request !== undefined && compareQuantity(limit, request) === 0;
  });
}

const asksNothing = (resources: Container['resources']): boolean =>
  counted.every((name) => positive(resources?.requests, name) === undefined && positive(resources?.limits, name) === undefined);

/** The quality of service class of a pod: qos.ComputePodQOS. */
export function podQosClass(spec: PodSpec): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  if (spec.resources !== undefined && !asksNothing(spec.resources)) return guaranteed(spec.resources) ? 'Guaranteed' : 'Burstable';
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  if (containers.every((c) => asksNothing(c.resources))) return 'BestEffort';
  return containers.every((c) => guaranteed(c.resources)) ? 'Guaranteed' : 'Burstable';
}
