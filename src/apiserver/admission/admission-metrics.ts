/** Figures of admission, under upstream's names (k8s.io/apiserver pkg/admission/metrics). */
import { Counter, Histogram, type Registry } from 'prom-client';
import { createPodSecurityMetrics, type PodSecurityMetrics } from './pod-security-metrics.ts';

/** As upstream labels them: the mutating stage is "admit"; plugins say "validate" where webhooks say "validating". */
export type WebhookStage = 'admit' | 'validating';
export type Stage = 'admit' | 'validate';

/** What kind of failure refused a request. */
export type RejectionKind = 'calling_webhook_error' | 'apiserver_internal_error' | 'no_error';

export interface WebhookOutcome {
  readonly name: string;
  readonly stage: WebhookStage;
  readonly operation: string;
  readonly seconds: number;
  /** Of the answer, or of the failure to get one. */
  readonly code: number;
  /** Absent: not refused. */
  readonly rejection?: RejectionKind;
}

export interface ConditionLabels {
  readonly name: string;
  readonly kind: 'webhook' | 'policy';
  readonly stage: Stage | WebhookStage;
  readonly operation: string;
}

/** One expression of a policy that was run. */
export interface MutationOutcome {
  readonly policy: string;
  readonly binding: string;
  readonly error: 'no_error' | 'invalid_error' | 'out_of_budget';
  readonly seconds: number;
}

export interface PolicyOutcome extends MutationOutcome {
  /** What came of it. */
  readonly action: 'allow' | 'deny' | 'warn' | 'audit';
}

export interface AdmissionMetrics {
  readonly podSecurity: PodSecurityMetrics;
  /** A validation of a ValidatingAdmissionPolicy that found something, or failed. */
  readonly observeValidation: (outcome: PolicyOutcome) => void;
  /** A mutation of a MutatingAdmissionPolicy. */
  readonly observeMutation: (outcome: MutationOutcome) => void;
  readonly observeStage: (stage: Stage, operation: string, rejected: boolean, seconds: number) => void;
  readonly observePlugin: (name: string, stage: Stage, operation: string, rejected: boolean, seconds: number) => void;
  readonly observeWebhook: (outcome: WebhookOutcome) => void;
  readonly failedOpen: (name: string, stage: WebhookStage) => void;
  readonly conditionFailed: (labels: ConditionLabels) => void;
  readonly conditionExcluded: (labels: ConditionLabels) => void;
}

const buckets = [0.005, 0.025, 0.1, 0.5, 1, 2.5];
/** Codes beyond are shown as this, so that a bad webhook makes no end of figures. */
const maxCode = 600;

export function createAdmissionMetrics(registry: Registry): AdmissionMetrics {
  const registers = [registry];
  const histogram = (name: string, help: string, labelNames: string[], limits = buckets) =>
    new Histogram({ name: `apiserver_admission_${name}`, help, labelNames, buckets: limits, registers });
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `apiserver_admission_${name}`, help, labelNames, registers });
  const step = histogram(
    'step_admission_duration_seconds',
    'Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or admit).',
    ['type', 'operation', 'rejected'],
  );
  const controller = histogram(
    'controller_admission_duration_seconds',
    'Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).',
    ['name', 'type', 'operation', 'rejected'],
  );
  const webhook = histogram(
    'webhook_admission_duration_seconds',
    'Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).',
    ['name', 'type', 'operation', 'rejected'],
    [...buckets, 10, 25],
  );
  const rejections = counter(
    'webhook_rejection_count',
    'Admission webhook rejection count, identified by name and broken out for each admission type (validating or admit) and operation.',
    ['name', 'type', 'operation', 'error_type', 'rejection_code'],
  );
  const failOpen = counter('webhook_fail_open_count', 'Admission webhook fail open count, identified by name and admission type.', [
    'name',
    'type',
  ]);
  const requests = counter('webhook_request_total', 'Admission webhook request total, identified by name, admission type and operation.', [
    'name',
    'type',
    'operation',
    'code',
    'rejected',
  ]);
  const mutationLabels = ['policy', 'policy_binding', 'error_type'];
  const policyLabels = [...mutationLabels, 'enforcement_action'];
  const checks = (kind: string, labelNames: string[], countHelp: string, secondsHelp: string) => ({
    count: new Counter({ name: `apiserver_${kind}_admission_policy_check_total`, help: countHelp, labelNames, registers }),
    seconds: new Histogram({
      name: `apiserver_${kind}_admission_policy_check_duration_seconds`,
      help: secondsHelp,
      labelNames,
      buckets: [0.0000005, 0.001, 0.01, 0.1, 1],
      registers,
    }),
  });
  const validations = checks(
    'validating',
    policyLabels,
    'Validation admission policy check total, labeled by policy and further identified by binding and enforcement action taken.',
    'Validation admission latency for individual validation expressions in seconds, labeled by policy and further including binding and enforcement action taken.',
  );
  const mutations = checks(
    'mutating',
    mutationLabels,
    'Mutation admission policy check total, labeled by policy and further identified by binding.',
    'Mutation admission latency for individual mutation expressions in seconds, labeled by policy and binding.',
  );
  const conditionLabels = ['name', 'kind', 'type', 'operation'];
  const errors = counter('match_condition_evaluation_errors_total', 'Admission match condition evaluation errors count.', conditionLabels);
  const exclusions = counter('match_condition_exclusions_total', 'Admission match condition evaluation exclusions count.', conditionLabels);
  return {
    podSecurity: createPodSecurityMetrics(registry),
    observeValidation: ({ policy, binding, action, error, seconds }) => {
      validations.count.labels(policy, binding, error, action).inc();
      validations.seconds.labels(policy, binding, error, action).observe(seconds);
    },
    observeMutation: ({ policy, binding, error, seconds }) => {
      mutations.count.labels(policy, binding, error).inc();
      mutations.seconds.labels(policy, binding, error).observe(seconds);
    },
    observeStage: (stage, operation, rejected, seconds) => step.labels(stage, operation, String(rejected)).observe(seconds),
    observePlugin: (name, stage, operation, rejected, seconds) =>
      controller.labels(name, stage, operation, String(rejected)).observe(seconds),
    observeWebhook: ({ name, stage, operation, seconds, code, rejection }) => {
      const shown = String(Math.min(code, maxCode));
      const rejected = String(rejection !== undefined);
      requests.labels(name, stage, operation, shown, rejected).inc();
      webhook.labels(name, stage, operation, rejected).observe(seconds);
      if (rejection !== undefined) rejections.labels(name, stage, operation, rejection, shown).inc();
    },
    failedOpen: (name, stage) => failOpen.labels(name, stage).inc(),
    conditionFailed: (l) => errors.labels(l.name, l.kind, l.stage, l.operation).inc(),
    conditionExcluded: (l) => exclusions.labels(l.name, l.kind, l.stage, l.operation).inc(),
  };
}
