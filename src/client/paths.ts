/** Paths of the Kubernetes REST API. */
import { apiVersionOf, type ResourceRef } from '#kube/refs.ts';

export type QueryValue = string | number | boolean | undefined;

/** Path and query of a resource, an object of it, or a subresource of that. An empty or absent namespace means all namespaces. */
export function resourcePath(
  resource: Pick<ResourceRef, 'group' | 'version' | 'plural' | 'namespaced'>,
  at: { readonly namespace?: string | undefined; readonly name?: string | undefined; readonly subresource?: string | undefined },
  query: Readonly<Record<string, QueryValue>> = {},
): string {
  const parts = [resource.group === '' ? '/api' : '/apis', apiVersionOf(resource)];
  if (resource.namespaced && at.namespace !== undefined && at.namespace !== '') parts.push('namespaces', encodeURIComponent(at.namespace));
  parts.push(resource.plural);
  if (at.name !== undefined) parts.push(encodeURIComponent(at.name));
  if (at.subresource !== undefined) parts.push(at.subresource);
  return withQuery(parts.join('/'), query);
}

/** Appends the parameters that have a value. */
export function withQuery(path: string, query: Readonly<Record<string, QueryValue>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') search.set(name, String(value));
  const text = search.toString();
  return text === '' ? path : `${path}?${text}`;
}
