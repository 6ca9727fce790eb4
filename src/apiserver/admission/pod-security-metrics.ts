/** Figures of PodSecurity under upstream's names (k8s.io/pod-security-admission/metrics). */
import { Counter, type Registry } from 'prom-client';
import { minorVersion } from '#kube/version.ts';
import type { AdmissionRequest } from '../contract.ts';
import { minorOf } from './pod-security-levels.ts';
import type { Mode, Policy } from './pod-security-policy.ts';

export interface PodSecurityMetrics {
  readonly evaluated: (decision: 'allow' | 'deny', policy: Policy, mode: Mode, r: AdmissionRequest) => void;
  readonly exempted: (r: AdmissionRequest) => void;
  /** Not fatal: the pod was checked all the same. */
  readonly failed: (r: AdmissionRequest) => void;
}

/** The version of a policy, where there are not more than we know: labels may name any. */
const versionLabel = ({ version }: Policy): string => (version !== 'latest' && minorOf(version) > minorVersion ? 'future' : version);

export function createPodSecurityMetrics(registry: Registry): PodSecurityMetrics {
  const requestLabels = ['request_operation', 'resource', 'subresource'];
  const counter = (name: string, help: string, labelNames: readonly string[]) =>
    new Counter({ name: `pod_security_${name}`, help, labelNames: [...labelNames, ...requestLabels], registers: [registry] });
  const evaluations = counter('evaluations_total', 'Number of policy evaluations that occurred, not counting ignored or exempt requests.', [
    'decision',
    'policy_level',
    'policy_version',
    'mode',
  ]);
  const exemptions = counter('exemptions_total', 'Number of exempt requests, not counting ignored or out of scope requests.', []);
  const errors = counter(
    'errors_total',
    'Number of errors preventing normal evaluation. Non-fatal errors may result in the latest restricted profile being used for evaluation.',
    ['fatal'],
  );
  const requestOf = (r: AdmissionRequest): [string, string, string] => [
    r.operation.toLowerCase(),
    r.def.ref.plural === 'pods' ? 'pod' : 'controller',
    r.subresource,
  ];
  return {
    evaluated: (decision, policy, mode, r) => evaluations.labels(decision, policy.level, versionLabel(policy), mode, ...requestOf(r)).inc(),
    exempted: (r) => exemptions.labels(...requestOf(r)).inc(),
    failed: (r) => errors.labels('false', ...requestOf(r)).inc(),
  };
}
