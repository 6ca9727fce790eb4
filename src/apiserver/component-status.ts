/** ComponentStatus: whether the parts of the control plane work, asked for at each read. */
import type { ComponentStatus } from '#kube/generated/core-v1.ts';
import { componentStatuses } from '#kube/refs.ts';
import type { ComputedDef } from './contract.ts';
import type { HealthCheck } from './health.ts';

/** `checks` give upstream's names: scheduler, controller-manager, etcd-0. */
export function componentStatusReader(checks: () => readonly Pick<HealthCheck, 'name' | 'problem'>[]): ComputedDef {
  return {
    resource: componentStatuses,
    list: () => Promise.all([...checks()].sort((a, b) => (a.name < b.name ? -1 : 1)).map(statusOf)),
  };
}

/** As upstream's prober: an answer is True or False with its text, no answer is Unknown with the error. */
async function statusOf({ name, problem }: Pick<HealthCheck, 'name' | 'problem'>): Promise<ComponentStatus> {
  const base = { kind: 'ComponentStatus', apiVersion: 'v1', metadata: { name } };
  try {
    const found = await problem();
    return { ...base, conditions: [{ type: 'Healthy', status: found === undefined ? 'True' : 'False', message: found ?? 'ok' }] };
  } catch (error) {
    return { ...base, conditions: [{ type: 'Healthy', status: 'Unknown', error: error instanceof Error ? error.message : String(error) }] };
  }
}
