/** What mutating and validating webhooks share: which are asked, how they are called, what counts as a failure (plugin/webhook/generic). */
import { CelCompileError } from '#kube/cel.ts';
import type { MutatingWebhook, ValidatingWebhook } from '#kube/generated/admissionregistration-v1.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import { badRequest, forbidden, StatusError } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import type { AdmissionRequest, ObjectReader } from '../contract.ts';
import type { AdmissionMetrics, RejectionKind, WebhookStage } from './admission-metrics.ts';
import { type Condition, createPolicyScope, type ExpressionDeps, matchConditions, type PolicyScope } from './expressions.ts';
import { matchesSelectors, matchingVersion } from './match.ts';
import { messageOf } from './policy.ts';
import { inVersion, type VersionedRequest } from './versions.ts';
import { reviewFor, type Verdict, verdictOf } from './webhook-answer.ts';
import { type CallWebhook, WebhookCallError } from './webhook-client.ts';

export type Webhook = ValidatingWebhook | MutatingWebhook;

export interface WebhookDeps extends ExpressionDeps {
  readonly objects: Pick<ObjectReader, 'get' | 'list' | 'equivalents'>;
  readonly call: CallWebhook;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: AdmissionMetrics;
}

interface Configuration<W extends Webhook> extends KubeObject {
  readonly webhooks?: readonly W[];
}

/** A webhook and where it stands. */
export interface Hook<W extends Webhook = Webhook> {
  readonly webhook: W;
  readonly configuration: string;
  /** The same in both rounds of a request. */
  readonly key: string;
  /** Among all webhooks of its kind. */
  readonly index: number;
}

/** The webhooks of all configurations, by the names of their configurations. */
export function hooksOf<W extends Webhook>(objects: Pick<ObjectReader, 'list'>, ref: ResourceRef<Configuration<W>>): Hook<W>[] {
  const configurations: readonly Stored<Configuration<W>>[] = objects.list(ref, '');
  if (configurations.length === 0) return [];
  let index = 0;
  return [...configurations]
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .flatMap(({ metadata, webhooks = [] }) =>
      webhooks.map((webhook, i) => ({
        webhook,
        configuration: metadata.name,
        key: `${metadata.name}/${webhook.name}/${i}`,
        index: index++,
      })),
    );
}

/** A webhook that could not be asked, or whose answer is no good: what failurePolicy is about (ErrCallingWebhook). */
export class CallingError extends Error {
  readonly code: number;
  constructor(webhook: string, why: unknown, code: number) {
    super(`failed calling webhook ${JSON.stringify(webhook)}: ${messageOf(why)}`, { cause: why });
    this.code = code;
  }
}

export const internalError = (error: Error): StatusError =>
  new StatusError('InternalError', `Internal error occurred: ${error.message}`, {
    details: { causes: [{ message: error.message }] },
    cause: error,
  });

interface CompiledConditions {
  readonly scope: PolicyScope;
  readonly conditions: readonly Condition[];
}

export interface HookCaller {
  /** The request in the version that the webhook wants it in; undefined: it is not asked. Rejects with StatusError. */
  readonly wants: (hook: Hook, r: AdmissionRequest) => Promise<VersionedRequest | undefined>;
  /** The webhook's answer; its warnings and audit annotations are passed on. Rejects with CallingError or StatusError. */
  readonly ask: (hook: Hook, v: VersionedRequest) => Promise<Verdict>;
  /**
   * Runs what asks and uses one webhook, and counts it. A failure that is to be ignored resolves to undefined, after `failedOpen`.
   * Rejects with StatusError.
   */
  readonly attempt: <T>(hook: Hook, r: AdmissionRequest, work: () => Promise<T>, failedOpen: () => void) => Promise<T | undefined>;
}

/** Longer ones are cut: k8s.io/apiserver pkg/warning has such a limit for all of a request's. */
const maxWarning = 4096;

function passOn(r: AdmissionRequest, name: string, verdict: Verdict): void {
  for (const text of verdict.warnings) r.warn(text.slice(0, maxWarning));
  for (const [key, value] of verdict.auditAnnotations) r.audit(`${name}/${key}`, value);
}

function checkDryRun(w: Webhook, r: AdmissionRequest): void {
  if (r.dryRun && w.sideEffects !== 'None' && w.sideEffects !== 'NoneOnDryRun')
    throw badRequest(`admission webhook ${JSON.stringify(w.name)} does not support dry run`);
}

const defaultTimeoutSeconds = 10;

export function createHookCaller(deps: WebhookDeps, stage: WebhookStage): HookCaller {
  const { clock, metrics } = deps;
  // Webhooks come from stored objects, which never change.
  const known = new WeakMap<Webhook, CompiledConditions>();
  const conditionsOf = (w: Webhook): CompiledConditions => {
    let found = known.get(w);
    if (found === undefined) {
      const scope = createPolicyScope(deps, { params: false });
      const compiled = (w.matchConditions ?? []).map((c) => ({
        name: c.name,
        program: scope.compile(c.expression.trim(), { result: ['bool'], exact: true }),
      }));
      found = { scope, conditions: compiled };
      known.set(w, found);
    }
    return found;
  };

  async function conditionsHold(w: Webhook, v: VersionedRequest): Promise<boolean> {
    if ((w.matchConditions ?? []).length === 0) return true;
    const labels = { name: w.name, kind: 'webhook', stage, operation: v.operation } as const;
    let problem: string;
    try {
      const { scope, conditions } = conditionsOf(w);
      const result = await matchConditions(scope.bind(v, undefined), conditions);
      if ('matched' in result) {
        if (!result.matched) metrics.conditionExcluded(labels);
        return result.matched;
      }
      problem = result.error;
    } catch (error) {
      if (!(error instanceof CelCompileError)) throw error;
      problem = `compilation error: ${error.message}`;
    }
    metrics.conditionFailed(labels);
    if (w.failurePolicy === 'Ignore') return false;
    throw forbidden(v.requested.def.ref, v.name, problem);
  }

  return {
    wants: async ({ webhook }, r) => {
      const def = matchingVersion(webhook.rules, webhook.matchPolicy, r, deps.objects);
      if (def === undefined || !matchesSelectors(webhook, r, deps.objects)) return undefined;
      const v = await inVersion(r, def);
      return (await conditionsHold(webhook, v)) ? v : undefined;
    },
    ask: async ({ webhook: w }, v) => {
      checkDryRun(w, v);
      try {
        const review = reviewFor(v, deps.random.uuid(), w.admissionReviewVersions);
        const timeoutMs = (w.timeoutSeconds ?? defaultTimeoutSeconds) * 1000;
        const answer = await deps.call({ config: w.clientConfig, body: review.body, timeoutMs, signal: v.signal });
        const verdict = verdictOf(answer, review, stage === 'admit');
        passOn(v.requested, w.name, verdict);
        return verdict;
      } catch (error) {
        throw new CallingError(w.name, error, error instanceof WebhookCallError ? error.code : 503);
      }
    },
    attempt: async ({ webhook: w }, r, work, failedOpen) => {
      const start = clock.monotonic();
      const observe = (code: number, rejection?: RejectionKind): void => {
        const seconds = (clock.monotonic() - start) / 1000;
        metrics.observeWebhook({
          name: w.name,
          stage,
          operation: r.operation,
          seconds,
          code,
          ...(rejection === undefined ? {} : { rejection }),
        });
      };
      try {
        const result = await work();
        observe(200);
        return result;
      } catch (error) {
        if (error instanceof StatusError) {
          const own = error.reason === 'InternalError' && error.code === 500;
          observe(own ? 0 : error.code, own ? 'apiserver_internal_error' : 'no_error');
          throw error;
        }
        if (!(error instanceof CallingError)) throw error;
        const ignored = w.failurePolicy === 'Ignore';
        observe(error.code, ignored ? undefined : 'calling_webhook_error');
        if (!ignored) throw internalError(error);
        deps.log.warn('failed calling webhook, failing open', { webhook: w.name, error });
        metrics.failedOpen(w.name, stage);
        failedOpen();
        if (r.signal.aborted)
          throw new StatusError('Timeout', 'Timeout: request did not complete within requested timeout', { cause: error });
        return undefined;
      }
    },
  };
}
