/** Where audit events go, and upstream's figures of it. */
import { Counter, type Registry } from 'prom-client';

export interface AuditSink {
  /**
   * Takes an event. Undefined: nobody has to wait for it. A promise: the request waits until it is fulfilled, and is refused where it
   * gives false before the request was handled. It never rejects.
   */
  readonly write: (event: object) => Promise<boolean> | undefined;
  /** Writes what is pending. */
  readonly close: () => Promise<void>;
}

/** Takes events to where they are kept. */
export interface AuditBackend {
  /** False: some were lost, which is told and counted already. Never rejects. */
  readonly process: (events: readonly object[], signal: AbortSignal) => Promise<boolean>;
  readonly close: () => Promise<void>;
}

/** Upstream's figures (k8s.io/apiserver pkg/audit/metrics.go). */
export interface AuditFigures {
  readonly event: () => void;
  readonly level: (level: string) => void;
  readonly failed: (plugin: string, events: number) => void;
  /** A request was refused because its event could not be stored. */
  readonly rejected: () => void;
  readonly register: (registry: Registry) => void;
}

export function createAuditFigures(): AuditFigures {
  const counter = (name: string, help: string, labelNames: string[] = []): Counter =>
    new Counter({ name: `apiserver_audit_${name}`, help, labelNames, registers: [] });
  const events = counter('event_total', 'Counter of audit events generated and sent to the audit backend.');
  const levels = counter('level_total', 'Counter of policy levels for audit events (1 per request).', ['level']);
  const errors = counter(
    'error_total',
    'Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the error.',
    ['plugin'],
  );
  const rejected = counter('requests_rejected_total', 'Counter of apiserver requests rejected due to an error in audit logging backend.');
  return {
    event: () => events.inc(),
    level: (level) => levels.inc({ level }),
    failed: (plugin, count) => errors.inc({ plugin }, count),
    rejected: () => rejected.inc(),
    register: (registry) => {
      for (const metric of [events, levels, errors, rejected]) registry.registerMetric(metric);
    },
  };
}

export const unionSink = (sinks: readonly AuditSink[]): AuditSink => ({
  write: (event) => {
    const waits = sinks.map((sink) => sink.write(event)).filter((wait) => wait !== undefined);
    return waits.length === 0 ? undefined : Promise.all(waits).then((stored) => !stored.includes(false));
  },
  close: async () => {
    await Promise.all(sinks.map((s) => s.close()));
  },
});
