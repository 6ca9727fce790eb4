/** AdmissionReviews: what webhooks are sent, and what is made of their answers (plugin/webhook/request, plugin/webhook/errors). */
import type { Status } from '#kube/generated/meta-v1.ts';
import { isArray, isObject, type JsonObject, own } from '#kube/json-value.ts';
import { StatusError, type StatusReason } from '#kube/status-error.ts';
import { reviewRequest } from './review.ts';
import type { VersionedRequest } from './versions.ts';

const group = 'admission.k8s.io';
const known = ['v1', 'v1beta1'];

export interface Review {
  readonly uid: string;
  readonly version: string;
  readonly body: JsonObject;
}

/** The review in the first version of the webhook's list that there is. Throws Error. */
export function reviewFor(v: VersionedRequest, uid: string, versions: readonly string[]): Review {
  const version = versions.find((name) => known.includes(name));
  if (version === undefined)
    throw new Error('could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)');
  const request = { ...reviewRequest(v, uid), object: v.object ?? null, oldObject: v.oldObject ?? null };
  return { uid, version, body: { kind: 'AdmissionReview', apiVersion: `${group}/${version}`, request } };
}

/** What a webhook has decided. */
export interface Verdict {
  readonly allowed: boolean;
  readonly status: Partial<Status> | undefined;
  readonly warnings: readonly string[];
  readonly auditAnnotations: readonly (readonly [key: string, value: string])[];
  /** JSON. */
  readonly patch: string | undefined;
  readonly patchType: string;
}

const texts = (value: unknown): string[] => (isArray(value) ? value.filter((v) => typeof v === 'string') : []);

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function gvk(answer: JsonObject): string {
  const [version = '', of = ''] = textOf(own(answer, 'apiVersion')).split('/', 2).reverse();
  return `${of}/${version}, Kind=${textOf(own(answer, 'kind'))}`;
}

function patchOf(response: JsonObject, mutating: boolean, version: string): Pick<Verdict, 'patch' | 'patchType'> {
  const { patch, patchType } = response;
  const none = { patch: undefined, patchType: '' };
  const given = typeof patch === 'string' && patch !== '';
  if (version === 'v1') {
    if (!mutating && given) throw new Error('validating webhook may not return response.patch');
    if (!mutating && patchType !== undefined) throw new Error('validating webhook may not return response.patchType');
    if (given && patchType === undefined) throw new Error('webhook returned response.patch but not response.patchType');
    if (!given && patchType !== undefined && mutating) throw new Error('webhook returned response.patchType but not response.patch');
    if (given && patchType === '') throw new Error('webhook returned invalid response.patchType of ""');
  }
  if (!given || !mutating) return none;
  return { patch: Buffer.from(patch, 'base64').toString('utf8'), patchType: typeof patchType === 'string' ? patchType : 'JSONPatch' };
}

/** Throws Error with upstream's words for an answer that is none to this review. */
export function verdictOf(answer: unknown, { uid, version }: Review, mutating: boolean): Verdict {
  const invalid = (why: string): Error => new Error(`received invalid webhook response: ${why}`);
  if (!isObject(answer)) throw invalid('expected an object');
  const expected = `${group}/${version}, Kind=AdmissionReview`;
  const got = gvk(answer);
  if (got !== expected && !(version === 'v1beta1' && got === '/, Kind='))
    throw invalid(`expected webhook response of ${expected}, got ${got}`);
  const response = own(answer, 'response');
  if (!isObject(response)) throw invalid('webhook response was absent');
  if (version === 'v1' && response['uid'] !== uid)
    throw invalid(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'] ?? '')}`);
  const { status, warnings, auditAnnotations } = response;
  let patch: Pick<Verdict, 'patch' | 'patchType'>;
  try {
    patch = patchOf(response, mutating, version);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
  return {
    allowed: response['allowed'] === true,
    status: isObject(status) ? status : undefined,
    warnings: texts(warnings),
    auditAnnotations: isObject(auditAnnotations)
      ? Object.entries(auditAnnotations).flatMap(([k, value]) => (typeof value === 'string' ? [[k, value] as const] : []))
      : [],
    ...patch,
  };
}

/** The refusal that a client sees: the webhook's own status, under the webhook's name. */
export function refusal(name: string, given: Partial<Status> = {}): StatusError {
  const by = `admission webhook ${JSON.stringify(name)} denied the request`;
  const why = given.message || given.reason;
  const code = given.code !== undefined && given.code >= 400 ? given.code : 400;
  return new StatusError((given.reason || 'Unknown') as StatusReason, why ? `${by}: ${why}` : `${by} without explanation`, {
    code,
    ...(given.details === undefined ? {} : { details: given.details }),
  });
}
