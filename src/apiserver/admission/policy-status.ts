/**
 * Keeps the status of ValidatingAdmissionPolicies: what type checking has found, for the generation that it has seen
 * (k8s.io/kubernetes pkg/controller/validatingadmissionpolicystatus). Where upstream looks at a policy once, ours are looked at again when
 * a definition of a custom resource changes what they are about.
 */
import type { ValidatingAdmissionPolicy } from '#kube/generated/admissionregistration-v1.ts';
import { jsonEqual } from '#kube/json-value.ts';
import type { KubeObject } from '#kube/object.ts';
import { splitApiVersion, validatingAdmissionPolicies } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Logger } from '#platform/log.ts';
import type { KindHooks } from '../core.ts';
import type { InProcessTransport } from '../in-process.ts';
import { type TypeCheckDeps, typeWarnings } from './type-checking.ts';

type Policy = ValidatingAdmissionPolicy;

export interface PolicyStatusDeps extends TypeCheckDeps {
  readonly transport: Pick<InProcessTransport, 'call'>;
  readonly log: Logger;
}

export interface PolicyStatusKeeper {
  readonly hooks: KindHooks;
  /** Looks at a stored policy: at start. */
  readonly adopt: (policy: Policy) => void;
  /** Looks again at the policies that are about a custom resource: its types have changed. */
  readonly typesChanged: (group: string, plural: string) => void;
  readonly close: () => Promise<void>;
}

const manager = 'validatingadmissionpolicy-status';

/** Whether the types of a custom resource are among those that a policy is checked against. */
function isAbout({ spec = {} }: Policy, group: string, plural: string): boolean {
  if (spec.paramKind !== undefined && splitApiVersion(spec.paramKind.apiVersion ?? '').group === group) return true;
  const rules = spec.matchConstraints?.resourceRules ?? [];
  return rules.some((rule) => rule.apiGroups?.includes(group) === true && rule.resources?.includes(plural) === true);
}

const isGoing = ({ metadata }: Policy): boolean => metadata.deletionTimestamp !== undefined;
const isChecked = ({ metadata, status }: Policy): boolean => (metadata.generation ?? 0) <= (status?.observedGeneration ?? 0);

export function createPolicyStatusKeeper(deps: PolicyStatusDeps): PolicyStatusKeeper {
  const tasks = new TaskGroup();
  /** The policies that there are, and those of them that wait for being looked at again. */
  const policies = new Map<string, Policy>();
  const waiting = new Set<string>();

  async function check(policy: Policy, signal: AbortSignal): Promise<void> {
    const { name = '', generation = 0 } = policy.metadata;
    try {
      const expressionWarnings = await typeWarnings(deps, policy);
      if (isChecked(policy) && jsonEqual(policy.status?.typeChecking?.expressionWarnings ?? [], expressionWarnings)) return;
      const { apiVersion, kind } = policy;
      const path = `/apis/${apiVersion}/validatingadmissionpolicies/${name}/status?fieldManager=${manager}&force=true`;
      const status = { observedGeneration: generation, typeChecking: { expressionWarnings } };
      const body = { apiVersion, kind, metadata: { name }, status };
      await deps.transport.call({ method: 'PATCH', path, contentType: 'application/apply-patch+yaml', body, signal });
    } catch (error) {
      if (!signal.aborted && !isStatus(error, 'NotFound'))
        deps.log.warn('the status of an admission policy cannot be written', { policy: name, error });
    }
  }

  const adopt = (policy: Policy): void => {
    policies.set(policy.metadata.name ?? '', policy);
    if (!isChecked(policy) && !isGoing(policy)) tasks.spawn((signal) => check(policy, signal));
  };

  /** Many definitions may change at once: a policy that waits already sees them all. */
  const lookAgain = (name: string): void => {
    if (waiting.has(name)) return;
    waiting.add(name);
    tasks.spawn(async (signal) => {
      await Promise.resolve();
      waiting.delete(name);
      const policy = deps.objects.get(validatingAdmissionPolicies, '', name);
      if (policy !== undefined && !isGoing(policy)) await check(policy, signal);
    });
  };

  return {
    adopt,
    typesChanged: (group, plural) => {
      for (const [name, policy] of policies) if (isAbout(policy, group, plural)) lookAgain(name);
    },
    hooks: {
      afterWrite: (object: KubeObject) => adopt(object as Policy),
      afterDelete: (object: KubeObject) => void policies.delete(object.metadata.name ?? ''),
    },
    close: () => tasks.close(),
  };
}
