/** Authorization by webhook: k8s.io/apiserver plugin/pkg/authorizer/webhook. */
import type { Program } from '#kube/cel.ts';
import { ExpiringCache } from '#lib/expiring-cache.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { fetchJson, type HttpsFetch } from '../authn/https-json.ts';
import { webhookHeaders } from '../authn/webhook.ts';
import type { AuthorizationAttributes, Authorize, Decision } from '../contract.ts';
import type { WebhookServer } from '../webhook-config.ts';

/** Expressions over the review's spec: the webhook is asked where all are true. */
export interface MatchConditions {
  readonly programs: readonly Program[];
  /** Makes a spec what expressions see as `request`. */
  readonly value: (spec: unknown) => unknown;
}

export interface WebhookAuthorizerOptions {
  readonly server: WebhookServer;
  /** --authorization-webhook-cache-authorized-ttl; default 5 minutes. */
  readonly allowedMs?: number;
  /** --authorization-webhook-cache-unauthorized-ttl; default 30 seconds. */
  readonly refusedMs?: number;
  /** What a webhook that does not answer means. Default 'noOpinion'. */
  readonly onError?: 'noOpinion' | 'deny';
  /** Default 10 s. */
  readonly timeoutMs?: number;
  readonly conditions?: MatchConditions;
}

/** What match conditions see: every field of what is asked is there. k8s.io/apiserver pkg/authorization/cel. */
function conditionValue(a: AuthorizationAttributes): object {
  const { name, groups, uid = '', extra = {} } = a.user;
  const { namespace, verb, group, version, resource, subresource, path } = a;
  const what = a.resourceRequest
    ? { resourceAttributes: { namespace, verb, group, version, resource, subresource, name: a.name } }
    : { nonResourceAttributes: { path, verb } };
  return { user: name, groups, uid, extra, ...what };
}

/** False: one of them is false. Throws an Error when none is, and one cannot be evaluated. */
function matches(conditions: MatchConditions, attributes: AuthorizationAttributes): boolean {
  const request = conditions.value(conditionValue(attributes));
  let failure: unknown;
  for (const program of conditions.programs) {
    try {
      if (program.evaluate({ request }) !== true) return false;
    } catch (error) {
      failure ??= new Error(`cel evaluation error: expression '${program.expression}' resulted in error: ${String(error)}`);
    }
  }
  if (failure !== undefined) throw failure;
  return true;
}

function specOf(a: AuthorizationAttributes): object {
  const { name, groups, uid, extra } = a.user;
  const requirement = (raw: string | undefined) => (raw === undefined || raw === '' ? undefined : { rawSelector: raw });
  const what = a.resourceRequest
    ? {
        resourceAttributes: {
          namespace: a.namespace,
          verb: a.verb,
          group: a.group,
          version: a.version,
          resource: a.resource,
          subresource: a.subresource,
          name: a.name,
          fieldSelector: requirement(a.fieldSelector),
          labelSelector: requirement(a.labelSelector),
        },
      }
    : { nonResourceAttributes: { path: a.path, verb: a.verb } };
  return { ...what, user: name, groups, uid, extra };
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> => (typeof value === 'object' && value !== null ? { ...value } : {});

export function webhookAuthorizer(
  options: WebhookAuthorizerOptions,
  deps: { readonly clock: Clock; readonly log: Logger; readonly fetch: HttpsFetch },
): Authorize {
  const { server } = options;
  const cache = new ExpiringCache<Decision>(8192, deps.clock.now);
  const failed = (what: string, error: unknown): Decision => {
    deps.log.warn(what, { error });
    return { decision: options.onError ?? 'noOpinion', reason: '' };
  };
  return async (attributes, signal) => {
    try {
      if (options.conditions !== undefined && !matches(options.conditions, attributes)) return { decision: 'noOpinion', reason: '' };
    } catch (error) {
      return failed('a match condition of the authorization webhook cannot be evaluated', error);
    }
    const spec = specOf(attributes);
    const key = JSON.stringify(spec);
    const known = cache.get(key);
    if (known !== undefined) return known;
    const body = JSON.stringify({ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec });
    try {
      const { timeoutMs } = options;
      const limit = timeoutMs === undefined ? {} : { timeoutMs };
      const asked = { ...server, method: 'POST' as const, headers: webhookHeaders(server), body, signal, ...limit };
      const answer = fieldsOf(await fetchJson(deps.fetch, asked));
      const { allowed, denied, reason } = fieldsOf(answer['status']);
      const decision: Decision = {
        decision: denied === true ? 'deny' : allowed === true ? 'allow' : 'noOpinion',
        reason: typeof reason === 'string' ? reason : '',
      };
      cache.set(key, decision, decision.decision === 'allow' ? (options.allowedMs ?? 300_000) : (options.refusedMs ?? 30_000));
      return decision;
    } catch (error) {
      signal.throwIfAborted();
      return failed('the authorization webhook did not answer', error);
    }
  };
}
