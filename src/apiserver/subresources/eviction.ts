/** pods/eviction: a deletion that disruption budgets may refuse. k8s.io/kubernetes pkg/registry/core/pod/storage EvictionREST. */
import { decodeObject } from '#kube/decode.ts';
import type { Pod, PodCondition } from '#kube/generated/core-v1.ts';
import type { Eviction, PodDisruptionBudget } from '#kube/generated/policy-v1.ts';
import type { Stored } from '#kube/object.ts';
import { podDisruptionBudgets, pods, type ResourceRef } from '#kube/refs.ts';
import { kindSchema } from '#kube/schema-registry.ts';
import { fromLabelSelector, matchesLabels } from '#kube/selector.ts';
import { conflict, forbidden, isStatus, notFound, StatusError } from '#kube/status-error.ts';
import { readValue } from '../codec.ts';
import type { ApiResponse } from '../contract.ts';
import { timestamp, type VerbRequest } from '../core.ts';
import { matchName } from '../meta.ts';
import { parseDeleteParameters } from '../options.ts';
import { deleteObject } from '../verbs/delete.ts';
import { admissionRequest } from '../verbs/write.ts';
import { withCondition } from './binding.ts';
import type { Subresource } from './subresource.ts';

const ref: ResourceRef = {
  group: 'policy',
  version: 'v1',
  kind: 'Eviction',
  plural: 'evictions',
  singular: 'eviction',
  namespaced: true,
  shortNames: [],
  categories: [],
};
const kind = { ref, schema: kindSchema('policy', 'v1', 'Eviction') ?? {} };
/** The beta of this one kind is still taken, for older kubectl drain sends it: EvictionREST.AcceptsGroupVersion. */
const beta = { ...kind, ref: { ...ref, version: 'v1beta1' } };

const versionOf = (body: unknown): typeof kind =>
  typeof body === 'object' && body !== null && 'apiVersion' in body && body.apiVersion === 'policy/v1beta1' ? beta : kind;

export const evictionSubresource: Subresource = {
  name: 'eviction',
  kind: { group: 'policy', version: 'v1', kind: 'Eviction' },
  verbs: ['create'],
  handle: evict,
};

/** Pods whose disruption the controller has not confirmed yet; beyond this evictions are refused. */
const maxDisruptedPods = 2000;

async function evict(r: VerbRequest): Promise<ApiResponse> {
  const { namespace, name } = r.info;
  const body = readValue(r.request);
  const draft = decodeObject(versionOf(body), body).object;
  matchName(draft, name);
  const parameters = parseDeleteParameters(r.request.query, (draft as unknown as Eviction).deleteOptions ?? {});
  const dryRun = parameters.dryRun || r.request.query.has('dryRun');
  const admission = admissionRequest(r, 'CREATE', { namespace, name, dryRun }, draft, undefined);
  await r.core.admission.admit(admission);
  await r.core.admission.validate(admission);
  const pod = r.core.objects.get(pods, namespace, name);
  if (pod === undefined) throw notFound(pods, name);
  const budgets = goesFreely(pod) ? [] : budgetsOf(r, pod);
  if (budgets.length > 1)
    throw conflict(pods, name, 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.');
  const [budget] = budgets;
  if (budget !== undefined && !mayGoUnhealthy(pod, budget)) await takeDisruption(r, budget, name, dryRun);
  if (!dryRun) await markTarget(r, pod);
  const plain = { ...r, info: { ...r.info, verb: 'delete', subresource: '' } };
  await deleteObject(plain, { ...parameters, dryRun });
  return { type: 'object', status: 201, object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 } };
}

/** Pods that are over, not begun or going already count for no budget. */
const goesFreely = (pod: Stored<Pod>): boolean =>
  pod.metadata.deletionTimestamp !== undefined || ['Succeeded', 'Failed', 'Pending'].includes(pod.status?.phase ?? '');

const budgetsOf = (r: VerbRequest, pod: Stored<Pod>): Stored<PodDisruptionBudget>[] =>
  r.core.objects
    .list(podDisruptionBudgets, r.info.namespace)
    .filter((b) => matchesLabels(fromLabelSelector(b.spec?.selector), pod.metadata.labels));

/** A pod that is not ready may go where its budget says so: unhealthyPodEvictionPolicy. */
function mayGoUnhealthy(pod: Stored<Pod>, budget: Stored<PodDisruptionBudget>): boolean {
  const ready = pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') === true;
  if (ready) return false;
  if (budget.spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = budget.status ?? {};
  return desiredHealthy > 0 && currentHealthy >= desiredHealthy;
}

const refused = (cause: string, retryAfterSeconds?: number): StatusError =>
  new StatusError('TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", {
    details: {
      causes: [{ reason: 'DisruptionBudget', message: cause }],
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    },
  });

/** Takes one of the disruptions that a budget allows. Throws StatusError TooManyRequests where there is none. */
async function takeDisruption(r: VerbRequest, budget: Stored<PodDisruptionBudget>, podName: string, dryRun: boolean): Promise<void> {
  const { name } = budget.metadata;
  const check = (b: Stored<PodDisruptionBudget>): void => {
    const { disruptionsAllowed = 0, desiredHealthy = 0, currentHealthy = 0, disruptedPods = {}, observedGeneration = 0 } = b.status ?? {};
    if (observedGeneration < (b.metadata.generation ?? 0))
      throw refused(`The disruption budget ${name} is still being processed by the server.`, 10);
    if (disruptionsAllowed < 0) throw forbidden(podDisruptionBudgets, name, 'pdb disruptions allowed is negative');
    if (Object.keys(disruptedPods).length > maxDisruptedPods)
      throw forbidden(podDisruptionBudgets, name, 'DisruptedPods map too big - too many evictions not confirmed by PDB controller');
    if (disruptionsAllowed === 0)
      throw refused(`The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`);
  };
  if (dryRun) {
    check(budget);
    return;
  }
  const now = timestamp(r.core.clock.now());
  const done = await r.core.objects.modify(podDisruptionBudgets, r.info.namespace, name, (draft, current) => {
    check(current);
    const status = draft['status'] as { disruptionsAllowed: number; disruptedPods?: Record<string, string> };
    status.disruptionsAllowed -= 1;
    status.disruptedPods = { ...status.disruptedPods, [podName]: now };
    return true;
  });
  if (done === undefined) throw conflict(podDisruptionBudgets, name, 'the disruption budget has been deleted; please try again');
}

async function markTarget(r: VerbRequest, pod: Stored<Pod>): Promise<void> {
  const condition: PodCondition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
  };
  const now = timestamp(r.core.clock.now());
  try {
    await r.core.objects.modify(pods, r.info.namespace, pod.metadata.name, (draft) => {
      const status = (draft['status'] ?? {}) as { conditions?: PodCondition[] };
      draft['status'] = status;
      status.conditions = withCondition(status.conditions ?? [], condition, now);
      return true;
    });
  } catch (error) {
    if (!isStatus(error, 'NotFound')) throw error;
  }
}
