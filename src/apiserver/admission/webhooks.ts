/** Mutating and validating admission webhooks (k8s.io/apiserver pkg/admission/plugin/webhook). */
import { CelCompileError } from '#kube/cel.ts';
import type { MutatingWebhook, ValidatingWebhook } from '#kube/generated/admissionregistration-v1.ts';
import type { Status } from '#kube/generated/meta-v1.ts';
import { isObject, type JsonObject, jsonEqual, own } from '#kube/json-value.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { applyJsonPatch } from '#kube/patch-json.ts';
import { mutatingWebhookConfigurations, type ResourceRef, validatingWebhookConfigurations } from '#kube/refs.ts';
import { badRequest, isStatus, StatusError, type StatusReason } from '#kube/status-error.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import { draftOf } from '../codec.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { become } from './attributes.ts';
import { type Condition, createPolicyScope, type ExpressionDeps, matchConditions, type PolicyScope } from './expressions.ts';
import { isExempt, matchesRule, matchesSelectors } from './match.ts';
import { messageOf } from './policy.ts';
import { reviewRequest } from './review.ts';
import type { CallWebhook } from './webhook-client.ts';

type Webhook = ValidatingWebhook | MutatingWebhook;

export interface WebhookDeps extends ExpressionDeps {
  readonly objects: Pick<ObjectReader, 'get' | 'list'>;
  readonly call: CallWebhook;
  readonly random: Random;
  readonly log: Logger;
}

interface Configuration<W extends Webhook> extends KubeObject {
  readonly webhooks?: readonly W[];
}

interface CompiledConditions {
  readonly scope: PolicyScope;
  readonly conditions: readonly Condition[];
}

const defaultTimeoutSeconds = 10;
const supportedVersions = ['v1'];

/** The webhooks of all configurations, by the names of their configurations. */
function webhooksOf<W extends Webhook>(objects: Pick<ObjectReader, 'list'>, ref: ResourceRef<Configuration<W>>): W[] {
  const configurations: readonly Stored<Configuration<W>>[] = objects.list(ref, '');
  return [...configurations].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)).flatMap((c) => c.webhooks ?? []);
}

const ignores = (w: Webhook): boolean => w.failurePolicy === 'Ignore';

interface Caller {
  /** False: the webhook is not asked. Throws StatusError. */
  readonly wants: (w: Webhook, r: AdmissionRequest) => boolean;
  /** The answer; undefined where the call failed and that is to be ignored. Throws StatusError. */
  readonly ask: (w: Webhook, r: AdmissionRequest) => Promise<JsonObject | undefined>;
}

function createCaller(deps: WebhookDeps): Caller {
  // Webhooks come from stored objects, which never change.
  const known = new WeakMap<Webhook, CompiledConditions>();
  const conditionsOf = (w: Webhook): CompiledConditions => {
    const found = known.get(w);
    if (found !== undefined) return found;
    const scope = createPolicyScope(deps, false);
    const conditions = (w.matchConditions ?? []).map((c) => ({ name: c.name, program: scope.compile(c.expression, { result: ['bool'] }) }));
    const made = { scope, conditions };
    known.set(w, made);
    return made;
  };

  function failed(w: Webhook, error: unknown): undefined {
    const text = `failed calling webhook ${JSON.stringify(w.name)}: ${messageOf(error)}`;
    if (!ignores(w))
      throw new StatusError('InternalError', `Internal error occurred: ${text}`, {
        details: { causes: [{ message: text }] },
        cause: error,
      });
    deps.log.warn('ignored a webhook that failed', { webhook: w.name, error });
    return undefined;
  }

  function conditionsHold(w: Webhook, r: AdmissionRequest): boolean {
    if ((w.matchConditions ?? []).length === 0) return true;
    try {
      const { scope, conditions } = conditionsOf(w);
      const result = matchConditions(scope.bind(r, undefined), conditions);
      if ('matched' in result) return result.matched;
      throw new Error(result.error);
    } catch (error) {
      if (isStatus(error)) throw error;
      if (ignores(w)) return false;
      const what = error instanceof CelCompileError ? 'invalid match condition' : 'match condition failed';
      throw new StatusError('Forbidden', `${what} of webhook ${JSON.stringify(w.name)}: ${messageOf(error)}`, { cause: error });
    }
  }

  function checkDryRun(w: Webhook, r: AdmissionRequest): void {
    if (r.dryRun && w.sideEffects !== 'None' && w.sideEffects !== 'NoneOnDryRun') {
      throw badRequest(`admission webhook ${JSON.stringify(w.name)} does not support dry run`);
    }
  }

  return {
    wants: (w, r) => {
      const equivalent = w.matchPolicy !== 'Exact';
      if (!(w.rules ?? []).some((rule) => matchesRule(rule, r, equivalent))) return false;
      return matchesSelectors(w, r, deps.objects) && conditionsHold(w, r);
    },
    ask: async (w, r) => {
      checkDryRun(w, r);
      const version = w.admissionReviewVersions.find((v) => supportedVersions.includes(v));
      if (version === undefined) return failed(w, new Error('webhook does not accept known AdmissionReview versions (v1)'));
      const uid = deps.random.uuid();
      const request = { ...reviewRequest(r, uid), object: r.object ?? null, oldObject: r.oldObject ?? null };
      const body = { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request };
      try {
        const timeoutMs = (w.timeoutSeconds ?? defaultTimeoutSeconds) * 1000;
        return checkedAnswer(await deps.call({ config: w.clientConfig, body, timeoutMs, signal: r.signal }), uid);
      } catch (error) {
        return failed(w, error);
      }
    },
  };
}

function checkedAnswer(answer: unknown, uid: string): JsonObject {
  if (!isObject(answer)) throw new Error('received invalid webhook response: expected an object');
  if (answer['kind'] !== 'AdmissionReview' || answer['apiVersion'] !== 'admission.k8s.io/v1') {
    throw new Error('received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview');
  }
  const response = own(answer, 'response');
  if (!isObject(response)) throw new Error('received invalid webhook response: webhook response was absent');
  if (response['uid'] !== uid) {
    throw new Error(
      `received invalid webhook response: expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'] ?? '')}`,
    );
  }
  return response;
}

function passOn(r: AdmissionRequest, w: Webhook, response: JsonObject): void {
  const { warnings, auditAnnotations } = response;
  if (Array.isArray(warnings)) for (const text of warnings) if (typeof text === 'string') r.warn(text.slice(0, 4096));
  if (isObject(auditAnnotations)) {
    for (const [key, value] of Object.entries(auditAnnotations)) if (typeof value === 'string') r.audit(`${w.name}/${key}`, value);
  }
}

/** The refusal that a client sees: the webhook's own status, under the webhook's name. */
function refusal(w: Webhook, response: JsonObject): StatusError {
  const given = response['status'];
  const status: Partial<Status> = isObject(given) ? given : {};
  const by = `admission webhook ${JSON.stringify(w.name)} denied the request`;
  const why = status.message || status.reason;
  const code = status.code !== undefined && status.code >= 400 && status.code < 600 ? status.code : 400;
  return new StatusError((status.reason || 'Unknown') as StatusReason, why ? `${by}: ${why}` : `${by} without explanation`, {
    code,
    ...(status.details === undefined ? {} : { details: status.details }),
  });
}

export function createValidatingWebhooks(deps: WebhookDeps): AdmissionPlugin {
  const caller = createCaller(deps);
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: (r) => !isExempt(r),
    validate: async (r) => {
      const wanted = webhooksOf<ValidatingWebhook>(deps.objects, validatingWebhookConfigurations).filter((w) => caller.wants(w, r));
      const results = await Promise.allSettled(
        wanted.map(async (w) => {
          const response = await caller.ask(w, r);
          if (response === undefined) return;
          passOn(r, w, response);
          if (response['allowed'] !== true) throw refusal(w, response);
        }),
      );
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    },
  };
}

function patched(r: AdmissionRequest, w: Webhook, response: JsonObject): object | undefined {
  const { patch, patchType } = response;
  if (typeof patch !== 'string' || patch === '') return undefined;
  if (patchType !== 'JSONPatch') throw new Error(`unsupported patch type ${JSON.stringify(patchType ?? '')}`);
  if (r.object === undefined)
    throw new Error('admission webhook attempted to modify the object, which is not supported for this operation');
  const operations: unknown = JSON.parse(Buffer.from(patch, 'base64').toString('utf8'));
  const value = applyJsonPatch(r.object, operations);
  const body = r.object as JsonObject;
  // A subresource's own body (a Binding, an Eviction) is of a kind that this request does not describe.
  if (r.subresource !== '' && body['kind'] !== undefined && body['kind'] !== r.def.ref.kind) return isObject(value) ? value : {};
  const warnings: string[] = [];
  const draft = draftOf(r.def, value, 'Ignore', warnings);
  for (const text of warnings) r.warn(`${w.name}: ${text}`);
  return draft;
}

export function createMutatingWebhooks(deps: WebhookDeps): AdmissionPlugin {
  const caller = createCaller(deps);

  /** True when the webhook was called and changed the object. */
  async function mutate(w: MutatingWebhook, r: AdmissionRequest): Promise<'skipped' | 'same' | 'changed'> {
    if (!caller.wants(w, r)) return 'skipped';
    const response = await caller.ask(w, r);
    if (response === undefined) return 'same';
    passOn(r, w, response);
    if (response['allowed'] !== true) throw refusal(w, response);
    try {
      const next = patched(r, w, response);
      if (next === undefined || r.object === undefined || jsonEqual(next, r.object)) return 'same';
      become(r.object, next);
      return 'changed';
    } catch (error) {
      const text = `failed calling webhook ${JSON.stringify(w.name)}: ${messageOf(error)}`;
      if (ignores(w)) return 'same';
      throw new StatusError('InternalError', `Internal error occurred: ${text}`, { cause: error });
    }
  }

  return {
    name: 'MutatingAdmissionWebhook',
    handles: (r) => !isExempt(r),
    admit: async (r) => {
      const all = webhooksOf<MutatingWebhook>(deps.objects, mutatingWebhookConfigurations);
      let changes = 0;
      const seen = new Map<MutatingWebhook, number>();
      for (const w of all) {
        const result = await mutate(w, r);
        if (result === 'changed') changes++;
        if (result !== 'skipped') seen.set(w, changes);
      }
      // Those that asked for it are called once more if another has changed the object after them.
      for (const w of all) {
        const then = seen.get(w);
        if (w.reinvocationPolicy === 'IfNeeded' && then !== undefined && then < changes && (await mutate(w, r)) === 'changed') changes++;
      }
    },
  };
}
