/** The audit webhook: events in batches, from a bounded buffer. k8s.io/apiserver plugin/pkg/audit/{buffered,webhook}. */
import { backoffMs } from '#lib/backoff.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { HttpsFetch } from '../authn/https-json.ts';
import { webhookHeaders } from '../authn/webhook.ts';
import type { WebhookServer } from '../webhook-config.ts';
import type { AuditFigures, AuditSink } from './sink.ts';

/** kube-apiserver's --audit-webhook-batch-* flags, with upstream's defaults. */
export interface AuditWebhookOptions {
  readonly server: WebhookServer;
  /** Events that wait; beyond, new ones are dropped and counted. Default 10,000. */
  readonly bufferSize?: number;
  /** Events in one request. Default 400. */
  readonly maxBatch?: number;
  /** How long the first event of a batch waits for others. Default 30 s. */
  readonly maxWaitMs?: number;
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
/** What is pending when the server stops is sent within this time or lost. */
const closeWithinMs = 3000;

export function auditWebhook(options: AuditWebhookOptions, deps: AuditWebhookDeps): AuditSink {
  const { clock, log, figures } = deps;
  const { bufferSize = 10_000, maxBatch = 400, maxWaitMs = 30_000, initialBackoffMs = 10_000 } = options;
  const buffer: object[] = [];
  let wake: () => void = () => undefined;
  let closing = false;
  let dropping = false;
  const tasks = new TaskGroup();

  const post = async (items: readonly object[], signal: AbortSignal): Promise<void> => {
    const body = JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items });
    const { server } = options;
    const response = await deps.fetch({ ...server, method: 'POST', headers: webhookHeaders(server), body, signal, timeoutMs: 30_000 });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`${server.url} answered ${response.status}`);
  };
  const send = async (items: readonly object[], signal: AbortSignal): Promise<void> => {
    for (let failures = 1; ; failures++) {
      try {
        await post(items, signal);
        return;
      } catch (error) {
        if (signal.aborted || closing || failures >= attempts) {
          figures.failed('webhook', items.length);
          log.error('audit events could not be sent to the webhook', { error, events: items.length });
          return;
        }
        await clock.sleep(backoffMs(failures, { baseMs: initialBackoffMs, maxMs: 10 * initialBackoffMs, factor }), signal);
      }
    }
  };
  /** Resolves when there is a batch to send: a full one, or one whose first event has waited long enough. */
  const batchReady = async (): Promise<void> => {
    const woken = (): Promise<void> =>
      new Promise((resolve) => {
        wake = resolve;
      });
    while (buffer.length === 0 && !closing) await woken();
    let late = false;
    const timer = clock.after(maxWaitMs, () => {
      late = true;
      wake();
    });
    while (buffer.length < maxBatch && !late && !closing) await woken();
    timer.cancel();
  };
  tasks.spawn(async (signal) => {
    while (!closing || buffer.length > 0) {
      await batchReady();
      const batch = buffer.splice(0, maxBatch);
      if (batch.length > 0) await send(batch, signal);
      if (signal.aborted) return;
      dropping = false;
    }
  });
  return {
    write: (event) => {
      if (closing || buffer.length >= bufferSize) {
        figures.failed('webhook', 1);
        if (!dropping) log.error('the audit webhook is too slow: events are dropped', { waiting: buffer.length });
        dropping = true;
        return;
      }
      buffer.push(event);
      wake();
    },
    close: async () => {
      closing = true;
      wake();
      await Promise.race([tasks.join(), clock.sleep(closeWithinMs)]);
      await tasks.close();
    },
  };
}
