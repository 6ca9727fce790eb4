/** Authorization by webhook: k8s.io/apiserver plugin/pkg/authorizer/webhook. */
import { ExpiringCache } from '#lib/expiring-cache.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { fetchJson, type HttpsFetch } from '../authn/https-json.ts';
import { webhookHeaders } from '../authn/webhook.ts';
import type { AuthorizationAttributes, Authorize, Decision } from '../contract.ts';
import type { WebhookServer } from '../webhook-config.ts';

export interface WebhookAuthorizerOptions {
  readonly server: WebhookServer;
  /** --authorization-webhook-cache-authorized-ttl; default 5 minutes. */
  readonly allowedMs?: number;
  /** --authorization-webhook-cache-unauthorized-ttl; default 30 seconds. */
  readonly refusedMs?: number;
  /** What a webhook that does not answer means. Default 'noOpinion'. */
  readonly onError?: 'noOpinion' | 'deny';
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
  return async (attributes, signal) => {
    const spec = specOf(attributes);
    const key = JSON.stringify(spec);
    const known = cache.get(key);
    if (known !== undefined) return known;
    const body = JSON.stringify({ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec });
    try {
      const answer = fieldsOf(await fetchJson(deps.fetch, { ...server, method: 'POST', headers: webhookHeaders(server), body, signal }));
      const { allowed, denied, reason } = fieldsOf(answer['status']);
      const decision: Decision = {
        decision: denied === true ? 'deny' : allowed === true ? 'allow' : 'noOpinion',
        reason: typeof reason === 'string' ? reason : '',
      };
      cache.set(key, decision, decision.decision === 'allow' ? (options.allowedMs ?? 300_000) : (options.refusedMs ?? 30_000));
      return decision;
    } catch (error) {
      if (!signal.aborted) deps.log.warn('the authorization webhook did not answer', { error });
      return { decision: options.onError ?? 'noOpinion', reason: '' };
    }
  };
}
