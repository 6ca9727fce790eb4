/** Where audit events go. A sink never holds up a request: what it cannot take is dropped and counted. */
import { Counter, type Registry } from 'prom-client';

export interface AuditSink {
  readonly write: (event: object) => void;
  /** Writes what is pending. */
  readonly close: () => Promise<void>;
}

/** Upstream's figures (k8s.io/apiserver pkg/audit/metrics.go). */
export interface AuditFigures {
  readonly event: () => void;
  readonly level: (level: string) => void;
  readonly failed: (plugin: string, events: number) => void;
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
    register: (registry) => {
      for (const metric of [events, levels, errors, rejected]) registry.registerMetric(metric);
    },
  };
}

export const unionSink = (sinks: readonly AuditSink[]): AuditSink => ({
  write: (event) => {
    for (const sink of sinks) sink.write(event);
  },
  close: async () => {
    await Promise.all(sinks.map((s) => s.close()));
  },
});
