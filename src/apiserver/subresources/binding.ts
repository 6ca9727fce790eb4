/** pods/binding: the scheduler's decision. k8s.io/kubernetes pkg/registry/core/pod/storage BindingREST. */
import { decodeObject } from '#kube/decode.ts';
import type { Binding, Pod, PodCondition } from '#kube/generated/core-v1.ts';
import type { Draft } from '#kube/kind.ts';
import type { Stored } from '#kube/object.ts';
import { bindings } from '#kube/refs.ts';
import { kindSchema } from '#kube/schema-registry.ts';
import { badRequest, conflict, type FieldError, invalid, notFound } from '#kube/status-error.ts';
import { readValue } from '../codec.ts';
import type { ApiResponse } from '../contract.ts';
import { timestamp, type VerbRequest } from '../core.ts';
import { matchName, metaOf } from '../meta.ts';
import { parseWriteParameters } from '../options.ts';
import { admissionRequest, updateObject } from '../verbs/write.ts';
import type { Subresource } from './subresource.ts';

const kind = { ref: bindings, schema: kindSchema('', 'v1', 'Binding') ?? {} } as unknown as Parameters<typeof decodeObject>[0];

export const bindingSubresource: Subresource = {
  name: 'binding',
  kind: { group: '', version: 'v1', kind: 'Binding' },
  verbs: ['create'],
  handle: bind,
};

const podsBinding = { group: '', plural: 'pods/binding' };

/** Assigns the pod that the path names. Throws StatusError Conflict when it may not be assigned any more. */
export async function bind(r: VerbRequest): Promise<ApiResponse> {
  const parameters = parseWriteParameters(r.request.query, 'CreateOptions');
  const draft = decodeObject(kind, readValue(r.request)).object;
  matchName(draft, r.info.name);
  const at = { namespace: r.info.namespace, name: r.info.name, dryRun: parameters.dryRun };
  const admission = admissionRequest(r, 'CREATE', at, draft, undefined);
  await r.core.admission.admit(admission);
  await r.core.admission.validate(admission);
  const binding = draft as unknown as Binding;
  checkTarget(binding);
  await updateObject(r, {
    build: (current) => assigned(r, current as Stored<Pod> | undefined, binding),
    dryRun: parameters.dryRun,
    createAllowed: false,
    retryConflicts: true,
    // Upstream's binding writes past the field manager (registry/core/pod/storage assignPod).
    tracked: true,
    part: { restrict: () => undefined, skipAdmission: true },
  });
  return { type: 'object', status: 201, object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 } };
}

/** POST to .../bindings: the older way to say pods/<name>/binding. Throws StatusError. */
export async function bindFromCollection(r: VerbRequest): Promise<ApiResponse> {
  const resource = r.core.registry.resource('', 'v1', 'pods');
  const name = decodeObject(kind, readValue(r.request)).object.metadata.name ?? '';
  if (resource === undefined || name === '') throw badRequest('metadata.name of the pod is required');
  return await bind({ ...r, resource, info: { ...r.info, resource: 'pods', subresource: 'binding', name } });
}

function checkTarget(binding: Binding): void {
  const { kind: targetKind = '', name = '' } = binding.target;
  const errors: FieldError[] = [];
  if (targetKind !== '' && targetKind !== 'Node')
    errors.push({
      field: 'target.kind',
      type: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(targetKind)}: supported values: "Node", ""`,
    });
  if (name === '') errors.push({ field: 'target.name', type: 'FieldValueRequired', message: 'Required value' });
  if (errors.length > 0) throw invalid(bindings, binding.metadata?.name ?? '', errors);
}

function assigned(r: VerbRequest, current: Stored<Pod> | undefined, binding: Binding): Draft {
  const { name } = r.info;
  if (current === undefined) throw notFound(r.resource.def.ref, name);
  const refuse = (why: string) => conflict(podsBinding, name, why);
  const { uid, resourceVersion } = binding.metadata ?? {};
  if (uid !== undefined && uid !== '' && uid !== current.metadata.uid)
    throw refuse(`Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`);
  if (resourceVersion !== undefined && resourceVersion !== '' && resourceVersion !== current.metadata.resourceVersion)
    throw refuse(
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${current.metadata.resourceVersion}`,
    );
  if (current.metadata.deletionTimestamp !== undefined) throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
  const node = current.spec?.nodeName ?? '';
  if (node !== '') throw refuse(`pod ${name} is already assigned to node ${JSON.stringify(node)}`);
  if ((current.spec?.schedulingGates ?? []).length > 0) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);
  const draft = structuredClone(current) as unknown as Draft;
  (draft['spec'] as { nodeName: string }).nodeName = binding.target.name ?? '';
  const meta = metaOf(draft);
  if (binding.metadata?.annotations !== undefined) meta.annotations = { ...meta.annotations, ...binding.metadata.annotations };
  if (binding.metadata?.labels !== undefined) meta.labels = { ...meta.labels, ...binding.metadata.labels };
  const status = (draft['status'] ?? {}) as { conditions?: PodCondition[] };
  draft['status'] = status;
  status.conditions = withCondition(status.conditions ?? [], { type: 'PodScheduled', status: 'True' }, timestamp(r.core.clock.now()));
  return draft;
}

/** Sets a condition; its transition time moves when its status does. */
export function withCondition(conditions: readonly PodCondition[], condition: PodCondition, now: string): PodCondition[] {
  const before = conditions.find((c) => c.type === condition.type);
  const lastTransitionTime = before?.status === condition.status ? before.lastTransitionTime : now;
  const made = { ...condition, ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }) };
  return before === undefined ? [...conditions, made] : conditions.map((c) => (c === before ? made : c));
}
