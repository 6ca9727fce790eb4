/**
 * Keeps the status of ValidatingAdmissionPolicies: what type checking has found, for the generation that it has seen
 * (k8s.io/kubernetes pkg/controller/validatingadmissionpolicystatus).
 */
import type { ValidatingAdmissionPolicy } from '#kube/generated/admissionregistration-v1.ts';
import type { KubeObject } from '#kube/object.ts';
import { isStatus } from '#kube/status-error.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Logger } from '#platform/log.ts';
import type { KindHooks } from '../core.ts';
import type { InProcessTransport } from '../in-process.ts';
import { type TypeCheckDeps, typeWarnings } from './type-checking.ts';

export interface PolicyStatusDeps extends TypeCheckDeps {
  readonly transport: Pick<InProcessTransport, 'call'>;
  readonly log: Logger;
}

export interface PolicyStatusKeeper {
  readonly hooks: KindHooks;
  /** Looks at a stored policy: at start. */
  readonly adopt: (policy: ValidatingAdmissionPolicy) => void;
  readonly close: () => Promise<void>;
}

const manager = 'validatingadmissionpolicy-status';

export function createPolicyStatusKeeper(deps: PolicyStatusDeps): PolicyStatusKeeper {
  const tasks = new TaskGroup();
  const adopt = (policy: ValidatingAdmissionPolicy): void => {
    const { name = '', generation = 0 } = policy.metadata;
    if (generation <= (policy.status?.observedGeneration ?? 0) || policy.metadata.deletionTimestamp !== undefined) return;
    tasks.spawn(async (signal) => {
      try {
        const status = { observedGeneration: generation, typeChecking: { expressionWarnings: await typeWarnings(deps, policy) } };
        const { apiVersion, kind } = policy;
        const path = `/apis/${apiVersion}/validatingadmissionpolicies/${name}/status?fieldManager=${manager}&force=true`;
        const body = { apiVersion, kind, metadata: { name }, status };
        await deps.transport.call({ method: 'PATCH', path, contentType: 'application/apply-patch+yaml', body, signal });
      } catch (error) {
        if (!signal.aborted && !isStatus(error, 'NotFound'))
          deps.log.warn('the status of an admission policy cannot be written', { policy: name, error });
      }
    });
  };
  return {
    adopt,
    hooks: { afterWrite: (object: KubeObject) => adopt(object as ValidatingAdmissionPolicy) },
    close: () => tasks.close(),
  };
}
