/** Upstream's texts for refusals: k8s.io/apiserver endpoints/handlers/responsewriters/errors.go. */
import { groupResource, StatusError } from '#kube/status-error.ts';
import type { AuthorizationAttributes } from '../contract.ts';

/** Go's %q for the texts that appear here. */
export const quote = (text: string): string => JSON.stringify(text);

/** `User "x" cannot list resource "pods" in API group "" in the namespace "y"`. */
export function forbiddenMessage(attributes: AuthorizationAttributes): string {
  const user = `User ${quote(attributes.user.name)}`;
  if (!attributes.resourceRequest) return `${user} cannot ${attributes.verb} path ${quote(attributes.path)}`;
  const resource = attributes.subresource === '' ? attributes.resource : `${attributes.resource}/${attributes.subresource}`;
  const where = attributes.namespace === '' ? 'at the cluster scope' : `in the namespace ${quote(attributes.namespace)}`;
  return `${user} cannot ${attributes.verb} resource ${quote(resource)} in API group ${quote(attributes.group)} ${where}`;
}

/** The 403 for what no authorizer allows; `reason` is the authorizers'. */
export function forbiddenError(attributes: AuthorizationAttributes, reason: string): StatusError {
  const text = `${forbiddenMessage(attributes)}${reason === '' ? '' : `: ${reason}`}`;
  if (!attributes.resourceRequest || attributes.resource === '') return new StatusError('Forbidden', `forbidden: ${text}`, { details: {} });
  const { group, resource, name } = attributes;
  const what = `${groupResource({ group, plural: resource })}${name === '' ? '' : ` ${quote(name)}`}`;
  return new StatusError('Forbidden', `${what} is forbidden: ${text}`, {
    details: { ...(name === '' ? {} : { name }), ...(group === '' ? {} : { group }), kind: resource },
  });
}
