/** Mutating admission webhooks (k8s.io/apiserver pkg/admission/plugin/webhook/mutating): one after another, twice where needed. */

import type { MutatingWebhook } from '#kube/generated/admissionregistration-v1.ts';
import { isArray, isObject, jsonEqual } from '#kube/json-value.ts';
import type { Draft } from '#kube/kind.ts';
import { applyJsonPatch } from '#kube/patch-json.ts';
import { mutatingWebhookConfigurations } from '#kube/refs.ts';
import { parseExact } from '#lib/exact-json.ts';
import type { AdmissionPlugin, MutatingRequest } from '../contract.ts';
import { become } from './attributes.ts';
import { isExempt } from './match.ts';
import { messageOf } from './policy.ts';
import { createHookRounds } from './reinvocation.ts';
import { backFrom, decodedAs, type VersionedRequest } from './versions.ts';
import { refusal, type Verdict } from './webhook-answer.ts';
import { CallingError, createHookCaller, type Hook, hooksOf, internalError, type WebhookDeps } from './webhooks.ts';

type MutatingHook = Hook<MutatingWebhook>;

/** The operations of a webhook's patch; undefined: none. Throws CallingError. */
function operationsOf({ webhook: { name } }: MutatingHook, { patch, patchType }: Verdict): readonly unknown[] | undefined {
  if (patch === undefined) return undefined;
  let operations: unknown;
  try {
    operations = parseExact(patch);
    if (!isArray(operations)) throw new Error('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  } catch (error) {
    throw new CallingError(name, new Error(`received undecodable patch in webhook response: ${messageOf(error)}`), 503);
  }
  if (operations.length === 0) return undefined;
  if (patchType !== 'JSONPatch') throw new CallingError(name, new Error(`unsupported patch type ${JSON.stringify(patchType)}`), 400);
  return operations;
}

/** What a patch makes of the object that the webhook saw. Throws StatusError InternalError. */
function patched(name: string, v: VersionedRequest, operations: readonly unknown[]): Draft {
  if (v.object === undefined) {
    throw internalError(
      new Error(`admission webhook ${JSON.stringify(name)} attempted to modify the object, which is not supported for this operation`),
    );
  }
  try {
    const value = applyJsonPatch(v.object, operations);
    if (!isObject(value)) throw new Error('the patch leaves no object');
    return decodedAs(v, v.object, value);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw internalError(cause instanceof Error ? cause : new Error(String(cause)));
  }
}

/** The audit annotations of one call. */
function annotator(r: MutatingRequest, { index, configuration, webhook }: MutatingHook) {
  const at = `round_${r.reinvocation.again ? 1 : 0}_index_${index}`;
  const value = (more: object): string => JSON.stringify({ configuration, webhook: webhook.name, ...more });
  return {
    failedOpen: () => r.audit(`failed-open.mutation.webhook.admission.k8s.io/${at}`, webhook.name),
    mutated: (mutated: boolean) => r.audit(`mutation.webhook.admission.k8s.io/${at}`, value({ mutated })),
    patch: (patch: readonly unknown[]) =>
      r.audit(`patch.webhook.admission.k8s.io/${at}`, value({ patch, patchType: 'JSONPatch' }), 'Request'),
  };
}

export function createMutatingWebhooks(deps: WebhookDeps): AdmissionPlugin {
  const caller = createHookCaller(deps, 'admit');
  const rounds = createHookRounds();

  /** True when the webhook changed the object. Rejects with CallingError or StatusError. */
  async function mutate(r: MutatingRequest, hook: MutatingHook, v: VersionedRequest): Promise<boolean> {
    const notes = annotator(r, hook);
    let changed = false;
    try {
      const verdict = await caller.ask(hook, v);
      if (!verdict.allowed) throw refusal(hook.webhook.name, verdict.status);
      const operations = operationsOf(hook, verdict);
      if (operations === undefined) return false;
      const next = patched(hook.webhook.name, v, operations);
      changed = !jsonEqual(next, v.object);
      notes.patch(operations);
      if (changed && r.object !== undefined) become(r.object, await backFrom(v, next));
      return changed;
    } finally {
      notes.mutated(changed);
    }
  }

  return {
    name: 'MutatingAdmissionWebhook',
    handles: (r) => !isExempt(r),
    admit: async (r) => {
      const hooks = hooksOf<MutatingWebhook>(deps.objects, mutatingWebhookConfigurations);
      if (hooks.length === 0) return;
      rounds.begin(r);
      for (const hook of hooks) {
        const v = await caller.wants(hook, r);
        if (v === undefined || !rounds.mayAsk(r, hook.key)) continue;
        const changed = await caller.attempt(hook, r, () => mutate(r, hook, v), annotator(r, hook).failedOpen);
        if (changed === true) rounds.changed(r);
        rounds.asked(r, hook.key, hook.webhook.reinvocationPolicy === 'IfNeeded');
      }
      rounds.end(r);
    },
  };
}
