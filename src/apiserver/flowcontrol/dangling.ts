/** The condition Dangling of FlowSchemas: whether their priority level exists. k8s.io/apiserver pkg/util/flowcontrol/apf_controller.go. */
import type { FlowSchema, FlowSchemaCondition } from '#kube/generated/flowcontrol-v1.ts';
import { flowSchemas } from '#kube/refs.ts';
import type { Clock } from '#platform/clock.ts';
import type { ObjectStore } from '../contract.ts';

export function danglingCondition(schema: FlowSchema, exists: boolean, now: Date): FlowSchemaCondition {
  const level = JSON.stringify(schema.spec?.priorityLevelConfiguration.name ?? '');
  const what = `This FlowSchema references the PriorityLevelConfiguration object named ${level}`;
  return {
    type: 'Dangling',
    status: exists ? 'False' : 'True',
    reason: exists ? 'Found' : 'NotFound',
    message: exists ? `${what} and it exists` : `${what} but there is no such object`,
    lastTransitionTime: `${now.toISOString().slice(0, 19)}Z`,
  };
}

/** Writes the condition where it is not yet so. */
export async function writeDangling(
  store: ObjectStore,
  clock: Clock,
  schemas: Iterable<FlowSchema>,
  exists: (level: string) => boolean,
): Promise<void> {
  for (const schema of schemas) {
    const present = exists(schema.spec?.priorityLevelConfiguration.name ?? '');
    const wanted = present ? 'False' : 'True';
    if (schema.status?.conditions?.find((c) => c.type === 'Dangling')?.status === wanted) continue;
    await store.modify(flowSchemas, '', schema.metadata.name ?? '', (draft, current) => {
      const others = (current.status?.conditions ?? []).filter((c) => c.type !== 'Dangling');
      draft['status'] = { ...current.status, conditions: [...others, danglingCondition(schema, present, new Date(clock.now()))] };
      return true;
    });
  }
}
