/** The smallest strategic merge patch that brings a pod's stored status to the one wanted, without touching others' conditions. */
import { isDeepStrictEqual } from 'node:util';
import type { PodCondition, PodStatus } from '#kube/generated/core-v1.ts';

/** Undefined when there is nothing to write. */
export function statusPatch(stored: PodStatus, wanted: PodStatus, uid: string): Readonly<Record<string, unknown>> | undefined {
  const patch: Record<string, unknown> = {};
  const keys = new Set([...Object.keys(wanted), 'reason', 'message', 'podIP', 'podIPs'] as (keyof PodStatus)[]);
  for (const key of keys) {
    if (key === 'conditions' || isDeepStrictEqual(stored[key], wanted[key])) continue;
    if (key === 'podIPs' || key === 'hostIPs')
      patch[key] = wanted[key] === undefined ? [{ $patch: 'replace' }] : [{ $patch: 'replace' }, ...wanted[key]];
    else patch[key] = wanted[key] ?? null;
  }
  const conditions = changedConditions(stored.conditions ?? [], wanted.conditions ?? []);
  if (conditions.length > 0) patch['conditions'] = conditions;
  if (Object.keys(patch).length === 0) return undefined;
  // The uid makes the write fail on a pod of the same name that came later.
  return { metadata: { uid }, status: patch };
}

function changedConditions(stored: readonly PodCondition[], wanted: readonly PodCondition[]): object[] {
  return wanted.flatMap((condition) => {
    const before = stored.find((c) => c.type === condition.type);
    const { lastProbeTime: _probed, ...rest } = before ?? { lastProbeTime: '' };
    if (isDeepStrictEqual(rest, condition)) return [];
    const gone = (['reason', 'message'] as const).filter((key) => before?.[key] !== undefined && condition[key] === undefined);
    return [{ ...condition, ...Object.fromEntries(gone.map((key) => [key, null])) }];
  });
}
