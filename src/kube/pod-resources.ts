/** What a pod asks for as a whole (k8s.io/component-helpers/resource PodRequests and PodLimits). */
import type { Container, PodSpec } from './generated/core-v1.ts';
import { addQuantity, compareQuantity, formatQuantity } from './quantity.ts';

export type Amounts = Readonly<Record<string, string | number>>;

function sum(a: Amounts, b: Amounts): Record<string, string | number> {
  const out: Record<string, string | number> = { ...a };
  for (const [name, amount] of Object.entries(b)) {
    const before = out[name];
    out[name] = before === undefined ? amount : formatQuantity(addQuantity(before, amount));
  }
  return out;
}

function larger(a: Amounts, b: Amounts): Record<string, string | number> {
  const out: Record<string, string | number> = { ...a };
  for (const [name, amount] of Object.entries(b)) {
    const before = out[name];
    if (before === undefined || compareQuantity(before, amount) < 0) out[name] = amount;
  }
  return out;
}

/** Containers run together; init containers one by one beside the sidecars started before them. */
function total(spec: PodSpec, of: (c: Container) => Amounts, podLevel: Amounts): Record<string, string | number> {
  let running: Amounts = {};
  for (const c of spec.containers) running = sum(running, of(c));
  let sidecars: Amounts = {};
  let starting: Amounts = {};
  for (const c of spec.initContainers ?? []) {
    if (c.restartPolicy === 'Always') {
      running = sum(running, of(c));
      sidecars = sum(sidecars, of(c));
      starting = larger(starting, sidecars);
    } else starting = larger(starting, sum(sidecars, of(c)));
  }
  return { ...larger(running, starting), ...podLevel };
}

/** Requests of the containers together, whatever the pod asks for as a whole. */
export const containerRequests = (spec: PodSpec): Record<string, string | number> => total(spec, (c) => c.resources?.requests ?? {}, {});

/** Requests of all containers, with the overhead of the runtime class. */
export function podRequests(spec: PodSpec): Record<string, string | number> {
  return sum(
    total(spec, (c) => c.resources?.requests ?? {}, spec.resources?.requests ?? {}),
    spec.overhead ?? {},
  );
}

/** Limits of all containers; overhead is added to what is limited. */
export function podLimits(spec: PodSpec): Record<string, string | number> {
  const limits = total(spec, (c) => c.resources?.limits ?? {}, spec.resources?.limits ?? {});
  const overhead = Object.fromEntries(Object.entries(spec.overhead ?? {}).filter(([name]) => limits[name] !== undefined));
  return sum(limits, overhead);
}
