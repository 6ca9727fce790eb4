/** What a path and method ask for: k8s.io/apiserver pkg/endpoints/request RequestInfo. */
import { badRequest } from '#kube/status-error.ts';
import type { ApiRequest, AuthorizationAttributes } from './contract.ts';

export interface RequestInfo {
  readonly isResource: boolean;
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  /** Plural; '' for paths that stop at the group and version. */
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** Path after the subresource, with its leading slash (proxy); else ''. */
  readonly rest: string;
  /** Decoded segments of a path that is no resource request. */
  readonly segments: readonly string[];
}

const verbOfMethod: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Segments below namespaces/<name> that belong to the namespace itself. */
const ownOfNamespace = new Set(['status', 'finalize']);

function decode(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest(`invalid URL escape in "${segment.slice(0, 80)}"`);
  }
}

const truthy = (value: string | null): boolean => value !== null && value !== 'false' && value !== '0';

/** Throws StatusError BadRequest for a path that cannot be decoded. */
export function parseRequestInfo(method: string, path: string, query: URLSearchParams): RequestInfo {
  const raw = path.split('/').filter((s) => s !== '');
  const segments = raw.map(decode);
  const plain = (): RequestInfo => ({
    isResource: false,
    verb: method.toLowerCase(),
    group: '',
    version: '',
    namespace: '',
    resource: '',
    subresource: '',
    name: '',
    rest: '',
    segments,
  });
  const grouped = segments[0] === 'apis';
  const start = grouped ? 3 : 2;
  if ((segments[0] !== 'api' && !grouped) || segments.length <= start) return plain();

  const group = grouped ? (segments[1] ?? '') : '';
  const version = (grouped ? segments[2] : segments[1]) ?? '';
  let at = start;
  let verb = verbOfMethod[method] ?? method.toLowerCase();
  const deprecatedWatch = segments[at] === 'watch' && segments.length > at + 1;
  if (deprecatedWatch) at++;

  let namespace = '';
  let parts = segments.slice(at);
  if (parts[0] === 'namespaces') {
    if (parts.length > 1) namespace = parts[1] ?? '';
    if (parts.length > 2 && !ownOfNamespace.has(parts[2] ?? '')) {
      parts = parts.slice(2);
      at += 2;
    }
  }
  const resource = parts[0] ?? '';
  const name = parts[1] ?? '';
  const subresource = parts[2] ?? '';
  const rest = parts.length > 3 || (parts.length === 3 && path.endsWith('/')) ? restOf(raw, at + 3, path) : '';
  if (deprecatedWatch) verb = 'watch';
  else if (name === '' && verb === 'get') verb = truthy(query.get('watch')) ? 'watch' : 'list';
  else if (name === '' && verb === 'delete') verb = 'deletecollection';
  return { isResource: true, verb, group, version, namespace, resource, subresource, name, rest, segments };
}

function restOf(raw: readonly string[], from: number, path: string): string {
  const text = `/${raw.slice(from).join('/')}`;
  return path.endsWith('/') && !text.endsWith('/') ? `${text}/` : text;
}

/** What the authorizers are asked about a request. */
export function attributesOf(request: Pick<ApiRequest, 'query' | 'path' | 'user'>, info: RequestInfo): AuthorizationAttributes {
  const fieldSelector = request.query.get('fieldSelector');
  const labelSelector = request.query.get('labelSelector');
  const selective = info.verb === 'list' || info.verb === 'watch' || info.verb === 'deletecollection';
  const named = selective && info.name === '' ? /^metadata\.name==?([^,=!]+)$/.exec(fieldSelector ?? '')?.[1] : undefined;
  return {
    user: request.user,
    verb: info.verb,
    resourceRequest: info.isResource,
    group: info.group,
    version: info.version,
    resource: info.resource,
    subresource: info.subresource,
    namespace: info.namespace,
    name: named ?? info.name,
    path: request.path,
    ...(selective && fieldSelector !== null ? { fieldSelector } : {}),
    ...(selective && labelSelector !== null ? { labelSelector } : {}),
  };
}
