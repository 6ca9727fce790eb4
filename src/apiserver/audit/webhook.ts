/** The audit webhook: lists of events by POST, again after failures. k8s.io/apiserver plugin/pkg/audit/webhook. */
import { backoffMs } from '#lib/backoff.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { HttpsFetch } from '../authn/https-json.ts';
import { webhookHeaders } from '../authn/webhook.ts';
import type { WebhookServer } from '../webhook-config.ts';
import type { AuditBackend, AuditFigures } from './sink.ts';

export interface AuditWebhookOptions {
  readonly server: WebhookServer;
  /** Before the first repetition of a request that failed. Default 10 s. */
  readonly initialBackoffMs?: number;
}

export interface AuditWebhookDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fetch: HttpsFetch;
  readonly figures: Pick<AuditFigures, 'failed'>;
}

/** webhook.DefaultRetryBackoffWithInitialDelay: five attempts. */
const attempts = 5;
const factor = 1.5;

export function auditWebhook({ server, initialBackoffMs = 10_000 }: AuditWebhookOptions, deps: AuditWebhookDeps): AuditBackend {
  const { clock, log, figures, fetch } = deps;
  let closing = false;
  const post = async (items: readonly object[], signal: AbortSignal): Promise<void> => {
    const body = JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items });
    const response = await fetch({ ...server, method: 'POST', headers: webhookHeaders(server), body, signal, timeoutMs: 30_000 });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`${server.url} answered ${response.status}`);
  };
  const send = async (items: readonly object[], signal: AbortSignal): Promise<void> => {
    for (let failures = 1; ; failures++) {
      try {
        return await post(items, signal);
      } catch (error) {
        if (signal.aborted || closing || failures >= attempts) throw error;
        await clock.sleep(backoffMs(failures, { baseMs: initialBackoffMs, maxMs: 10 * initialBackoffMs, factor }), signal);
      }
    }
  };
  return {
    process: async (items, signal) => {
      try {
        await send(items, signal);
        return true;
      } catch (error) {
        figures.failed('webhook', items.length);
        log.error('audit events could not be sent to the webhook', { error, events: items.length });
        return false;
      }
    },
    close: async () => {
      closing = true;
      await Promise.resolve();
    },
  };
}
