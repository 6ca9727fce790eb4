/** The RBAC authorizer: plugin/pkg/auth/authorizer/rbac. */
import type { PolicyRule } from '#kube/generated/rbac-v1.ts';
import type { Authorize, Decision, UserInfo } from '../contract.ts';
import type { RbacIndex } from './rbac-index.ts';
import { ruleAllows } from './rules.ts';

/** Allows what some rule allows; otherwise has no opinion, with the roles that are missing as the reason. */
export function rbacAuthorizer(index: RbacIndex): Authorize {
  return (attributes): Decision => {
    const missing = new Set<string>();
    const namespace = attributes.resourceRequest ? attributes.namespace : '';
    for (const grant of index.grants(attributes.user, namespace)) {
      const { kind, name } = grant.roleRef;
      if (grant.rules === undefined) {
        const plural = kind === 'ClusterRole' ? 'clusterrole' : 'role';
        missing.add(`${plural}.rbac.authorization.k8s.io ${JSON.stringify(name)} not found`);
      } else if (grant.rules.some((rule) => ruleAllows(rule, attributes)))
        return {
          decision: 'allow',
          reason: `RBAC: allowed by ${grant.binding} of ${kind} ${JSON.stringify(name)} to ${grantee(attributes.user, grant.subject)}`,
        };
    }
    const list = [...missing];
    const text = list.length > 1 ? `[${list.join(', ')}]` : (list[0] ?? '');
    return { decision: 'noOpinion', reason: text === '' ? '' : `RBAC: ${text}` };
  };
}

/** Upstream names service accounts as such: ServiceAccount "name/namespace". */
function grantee(user: UserInfo, subject: string): string {
  const parts = user.name.split(':');
  if (subject.startsWith('User "system:serviceaccount:') && parts.length === 4)
    return `ServiceAccount ${JSON.stringify(`${parts[3]}/${parts[2]}`)}`;
  return subject;
}

export interface ResolvedRules {
  readonly rules: readonly PolicyRule[];
  /** What kept some rules from being known. */
  readonly errors: readonly string[];
}

/** Every rule that applies to a user in a namespace. */
export function rulesFor(index: RbacIndex, user: UserInfo, namespace: string): ResolvedRules {
  const rules: PolicyRule[] = [];
  const errors: string[] = [];
  for (const grant of index.grants(user, namespace)) {
    if (grant.rules === undefined)
      errors.push(`${grant.roleRef.kind.toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(grant.roleRef.name)} not found`);
    else rules.push(...grant.rules);
  }
  return { rules, errors: [...new Set(errors)] };
}
