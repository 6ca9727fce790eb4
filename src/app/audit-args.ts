/** The --kube-apiserver-arg settings about audit, with upstream's defaults (k8s.io/apiserver pkg/server/options/audit.go). */
import { type AuditMode, auditModes, type Delivery } from '#apiserver/audit/delivery.ts';
import type { AuditLogOptions } from '#apiserver/audit/log-file.ts';
import { type AuditPolicy, parseAuditPolicy } from '#apiserver/audit/policy.ts';
import type { AuditWebhookOptions } from '#apiserver/audit/webhook.ts';
import { readWebhookConfig } from '#apiserver/webhook-config.ts';
import { type Args, boolean, decimal, duration, failed, fromFile, number, parsed } from './arg-values.ts';
import { OptionError } from './options.ts';

/** What log and webhook both have. */
const ofDelivery = [
  'batch-buffer-size',
  'batch-max-size',
  'batch-max-wait',
  'batch-throttle-burst',
  'batch-throttle-enable',
  'batch-throttle-qps',
  'mode',
  'truncate-enabled',
  'truncate-max-batch-size',
  'truncate-max-event-size',
  'version',
] as const;

export const auditArgs: readonly string[] = [
  'audit-log-format',
  'audit-log-maxage',
  'audit-log-maxbackup',
  'audit-log-maxsize',
  'audit-log-path',
  'audit-policy-file',
  'audit-webhook-config-file',
  'audit-webhook-initial-backoff',
  ...['audit-log', 'audit-webhook'].flatMap((backend) => ofDelivery.map((name) => `${backend}-${name}`)),
];

export interface AuditSettings {
  readonly policy: AuditPolicy;
  readonly log?: { readonly file: AuditLogOptions; readonly delivery: Delivery };
  readonly webhook?: { readonly endpoint: AuditWebhookOptions; readonly delivery: Delivery };
}

interface Defaults {
  readonly mode: AuditMode;
  readonly maxBatch: number;
  readonly maxWaitMs: number;
  readonly throttled: boolean;
}

const defaults: Readonly<Record<'audit-log' | 'audit-webhook', Defaults>> = {
  'audit-log': { mode: 'blocking', maxBatch: 1, maxWaitMs: 0, throttled: false },
  'audit-webhook': { mode: 'batch', maxBatch: 400, maxWaitMs: 30_000, throttled: true },
};
const defaultThrottle = { qps: 10, burst: 15 };
const defaultBuffer = 10_000;
const defaultTruncate = { maxBatch: 10 * 1024 * 1024, maxEvent: 100 * 1024 };

const positive = <T extends number>(name: string, value: T): T => {
  if (value > 0) return value;
  throw failed(name, `${value} must be positive`);
};

function deliveryOf(args: Args, backend: keyof typeof defaults): Delivery {
  const usual = defaults[backend];
  const name = (what: (typeof ofDelivery)[number]): string => `${backend}-${what}`;
  const count = (what: (typeof ofDelivery)[number], otherwise: number): number =>
    positive(name(what), number(args, name(what)) ?? otherwise);
  const given = args.get(name('mode')) ?? usual.mode;
  const mode = auditModes.find((m) => m === given);
  if (mode === undefined)
    throw failed(name('mode'), `invalid audit mode ${given}, allowed modes are ${JSON.stringify(auditModes.join(','))}`);
  const version = args.get(name('version')) ?? 'audit.k8s.io/v1';
  if (version !== 'audit.k8s.io/v1')
    throw failed(name('version'), `invalid audit log group version ${version}, allowed versions are "audit.k8s.io/v1"`);
  const throttle = {
    qps: positive(name('batch-throttle-qps'), decimal(args, name('batch-throttle-qps')) ?? defaultThrottle.qps),
    burst: count('batch-throttle-burst', defaultThrottle.burst),
  };
  const bufferSize = count('batch-buffer-size', defaultBuffer);
  const maxBatch = count('batch-max-size', usual.maxBatch);
  if (maxBatch > bufferSize) throw failed(name('batch-max-size'), `${maxBatch} can't be greater than batch-buffer-size ${bufferSize}`);
  const batch = { bufferSize, maxBatch, maxWaitMs: duration(args, name('batch-max-wait')) ?? usual.maxWaitMs };
  const truncate = {
    maxBatch: count('truncate-max-batch-size', defaultTruncate.maxBatch),
    maxEvent: count('truncate-max-event-size', defaultTruncate.maxEvent),
  };
  if (truncate.maxEvent > truncate.maxBatch)
    throw failed(
      name('truncate-max-event-size'),
      `${truncate.maxEvent} can't be greater than truncate-max-batch-size ${truncate.maxBatch}`,
    );
  return {
    mode,
    batch: (boolean(args, name('batch-throttle-enable')) ?? usual.throttled) ? { ...batch, throttle } : batch,
    ...(boolean(args, name('truncate-enabled')) === true ? { truncate } : {}),
  };
}

function logOf(args: Args): AuditSettings['log'] {
  const path = args.get('audit-log-path');
  if (path === undefined) return undefined;
  const format = args.get('audit-log-format') ?? 'json';
  if (format !== 'json' && format !== 'legacy')
    throw failed('audit-log-format', `invalid audit log format ${format}, allowed formats are "legacy,json"`);
  const maxSizeMb = number(args, 'audit-log-maxsize');
  const maxBackups = number(args, 'audit-log-maxbackup');
  const maxAgeDays = number(args, 'audit-log-maxage');
  const file = {
    path,
    format,
    ...(maxSizeMb === undefined ? {} : { maxSizeMb }),
    ...(maxBackups === undefined ? {} : { maxBackups }),
    ...(maxAgeDays === undefined ? {} : { maxAgeDays }),
  } as const;
  return { file, delivery: deliveryOf(args, 'audit-log') };
}

async function webhookOf(args: Args): Promise<AuditSettings['webhook']> {
  const server = await fromFile(args, 'audit-webhook-config-file', readWebhookConfig);
  if (server === undefined) return undefined;
  const initialBackoffMs = duration(args, 'audit-webhook-initial-backoff');
  const endpoint = { server, ...(initialBackoffMs === undefined ? {} : { initialBackoffMs }) };
  return { endpoint, delivery: deliveryOf(args, 'audit-webhook') };
}

/** Undefined: nothing is recorded. Rejects with OptionError for settings that cannot be used. */
export async function auditSettings(args: Args): Promise<AuditSettings | undefined> {
  const policy = await fromFile(args, 'audit-policy-file', parsed(parseAuditPolicy));
  const log = logOf(args);
  const webhook = await webhookOf(args);
  if (policy === undefined && log === undefined && webhook === undefined) return undefined;
  if (policy === undefined || (log === undefined && webhook === undefined))
    throw new OptionError(
      'kube-apiserver-arg: audit-policy-file and one of audit-log-path and audit-webhook-config-file are needed together',
    );
  return { policy, ...(log === undefined ? {} : { log }), ...(webhook === undefined ? {} : { webhook }) };
}
