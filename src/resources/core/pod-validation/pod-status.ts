/** What a write of a pod's status may not do: ValidatePodStatusUpdate. */
import type { Container, ContainerStatus, Pod } from '#kube/generated/core-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldProblems } from '#kube/validation/field-error.ts';

/** Containers that have ended for good, by name. */
function ended(before: readonly ContainerStatus[] | undefined, restarts: (name: string, exitCode: number) => boolean): Set<string> {
  return new Set(
    (before ?? []).flatMap(({ name, state }) =>
      state?.terminated === undefined || restarts(name, state.terminated.exitCode) ? [] : [name],
    ),
  );
}

const awoken = (field: string, now: readonly ContainerStatus[] | undefined, over: ReadonlySet<string>): FieldError[] =>
  (now ?? []).flatMap(({ name, state }, i) =>
    over.has(name) && state?.terminated === undefined
      ? [fieldForbidden(`${field}[${i}].state`, 'may not be transitioned to non-terminated state')]
      : [],
  );

/** Whether a container is started again once it has ended with an exit code. */
function restartsOf(containers: readonly Container[] | undefined, podPolicy: string) {
  const policies = new Map((containers ?? []).map((c) => [c.name, c.restartPolicy ?? podPolicy]));
  const withRules = new Set((containers ?? []).filter((c) => (c.restartPolicyRules ?? []).length > 0).map((c) => c.name));
  return (name: string, exitCode: number): boolean => {
    const policy = policies.get(name);
    return policy === 'Always' || withRules.has(name) || (policy === 'OnFailure' && exitCode !== 0);
  };
}

/** Nominations must be names of nodes, and what has ended for good stays ended. */
export function podStatusUpdate(pod: Pod, old: Pod): FieldError[] {
  const errors: FieldError[] = [];
  const nominated = pod.status?.nominatedNodeName ?? '';
  if (nominated !== '' && nominated !== old.status?.nominatedNodeName)
    errors.push(...fieldProblems('status.nominatedNodeName', nominated, isDns1123Subdomain(nominated)));
  const policy = old.spec?.restartPolicy ?? 'Always';
  const { containers, initContainers } = old.spec ?? { containers: [] };
  if (policy !== 'Always') {
    const over = ended(old.status?.containerStatuses, restartsOf(containers, policy));
    errors.push(...awoken('status.containerStatuses', pod.status?.containerStatuses, over));
    // Init containers that fail are tried again under OnFailure.
    const initOver = ended(old.status?.initContainerStatuses, restartsOf(initContainers, policy));
    errors.push(...awoken('status.initContainerStatuses', pod.status?.initContainerStatuses, initOver));
  }
  const never = ended(old.status?.ephemeralContainerStatuses, () => false);
  return [...errors, ...awoken('status.ephemeralContainerStatuses', pod.status?.ephemeralContainerStatuses, never)];
}
