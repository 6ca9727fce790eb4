/** pods/proxy, services/proxy and nodes/proxy: HTTP through the API server to what a node can reach. */
import type { Pod } from '#kube/generated/core-v1.ts';
import { nodes, pods, services } from '#kube/refs.ts';
import { badRequest, notFound } from '#kube/status-error.ts';
import type { ApiResponse, SubresourceDef, SubresourceRequest } from '../contract.ts';
import { serviceEndpoint } from '../service-endpoints.ts';
import type { Tunnel } from '../tunnel.ts';
import { passOn } from './proxy-http.ts';

const verbs = ['create', 'delete', 'get', 'patch', 'update'];
const kubeletPort = 10250;

interface Named {
  readonly scheme: 'http' | 'https';
  readonly name: string;
  readonly port: string;
}

/** "name", "name:port", "scheme:name:port": apimachinery util/net SplitSchemeNamePort. */
export function splitSchemeNamePort(text: string): Named | undefined {
  const parts = text.split(':');
  const [a = '', b = '', c = ''] = parts;
  const named = parts.length === 1 ? ['', a, ''] : parts.length === 2 ? ['', a, b] : [a, b, c];
  const [scheme = '', name = '', port = ''] = named;
  if (parts.length > 3 || name === '' || !['', 'http', 'https'].includes(scheme)) return undefined;
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port };
}

const portNumber = (text: string): number | undefined => {
  const n = Number(text);
  return /^\d+$/.test(text) && n >= 1 && n <= 65535 ? n : undefined;
};

interface Destination {
  /** The kind of the options that admission sees. */
  readonly kind: 'Pod' | 'Service' | 'Node';
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** The node that dials; '': any that is connected. */
  readonly node: string;
}

function named(request: SubresourceRequest, what: string): Named {
  const parsed = splitSchemeNamePort(request.name);
  if (parsed === undefined) throw badRequest(`invalid ${what} request ${JSON.stringify(request.name)}`);
  return parsed;
}

function podDestination(request: SubresourceRequest): Destination {
  const { scheme, name, port } = named(request, 'pod');
  const pod: Pod | undefined = request.store.get(pods, request.namespace, name);
  if (pod === undefined) throw notFound({ group: '', plural: 'pods' }, name);
  const declared = (pod.spec?.containers ?? []).flatMap((c) => c.ports ?? []);
  const number =
    port === ''
      ? (declared[0]?.containerPort ?? (scheme === 'https' ? 443 : 80))
      : (portNumber(port) ?? declared.find((p) => p.name === port)?.containerPort);
  if (number === undefined) throw badRequest(`no port ${JSON.stringify(port)} found for pod ${JSON.stringify(name)}`);
  const host = pod.status?.podIP ?? '';
  if (host === '') throw badRequest('address not allowed');
  return { kind: 'Pod', scheme, host, port: number, node: pod.spec?.nodeName ?? '' };
}

function serviceDestination(request: SubresourceRequest): Destination {
  const { scheme, name, port } = named(request, 'service');
  return { kind: 'Service', scheme, ...serviceEndpoint(request.store, request.namespace, name, port) };
}

/** Where the target's own paths begin, as the client sees them. */
const prefixOf = (request: SubresourceRequest): string => {
  const { path } = request.request;
  return request.rest === '' ? path : path.slice(0, path.length - request.rest.length);
};

function targetPath(request: SubresourceRequest): string {
  const query = request.request.query.toString();
  return `${request.rest}${query === '' ? '' : `?${query}`}`;
}

/** A path without its slash is sent to the one with it, so that relative links work. */
function withSlash(request: SubresourceRequest): ApiResponse | undefined {
  if (request.rest !== '' || request.request.method !== 'GET') return undefined;
  return { type: 'bytes', status: 301, contentType: 'text/plain', headers: { location: `${request.request.path}/` }, body: '' };
}

async function proxyTo(request: SubresourceRequest, tunnel: Tunnel, find: (r: SubresourceRequest) => Destination): Promise<ApiResponse> {
  const target = find(request);
  const redirect = withSlash(request);
  if (redirect !== undefined) return redirect;
  await request.admit('CONNECT', undefined, { kind: `${target.kind}ProxyOptions`, apiVersion: 'v1', path: request.rest });
  const node = target.node === '' ? (tunnel.connected()[0] ?? '') : target.node;
  const { signal } = request.request;
  const connection = await (await tunnel.dialNode(node, signal)).connect(target.host, target.port, signal);
  const host = target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;
  return await passOn(request.request, {
    scheme: target.scheme,
    host,
    path: targetPath({ ...request, rest: request.rest === '' ? '/' : request.rest }),
    connection,
    prefix: prefixOf(request),
  });
}

async function nodeProxy(request: SubresourceRequest, tunnel: Tunnel): Promise<ApiResponse> {
  const { name, port } = named(request, 'node');
  const node = request.store.get(nodes, '', name);
  if (node === undefined) throw notFound({ group: '', plural: 'nodes' }, name);
  const number = port === '' ? kubeletPort : portNumber(port);
  if (number === undefined) throw badRequest(`invalid node request ${JSON.stringify(request.name)}`);
  if (number !== kubeletPort) {
    const addresses = node.status?.addresses ?? [];
    const host = addresses.find((a) => a.type === 'InternalIP')?.address ?? name;
    return await proxyTo(request, tunnel, (r) => ({ kind: 'Node', scheme: named(r, 'node').scheme, host, port: number, node: name }));
  }
  await request.admit('CONNECT', undefined, { kind: 'NodeProxyOptions', apiVersion: 'v1', path: request.rest });
  const { signal, method, body, headers } = request.request;
  const connection = await tunnel.dialNode(name, signal);
  const type = headers['content-type'];
  const answer = await connection.request(
    {
      ':method': method,
      ':path': targetPath({ ...request, rest: request.rest === '' ? '/' : request.rest }),
      ...(type === undefined ? {} : { 'content-type': type }),
    },
    { endStream: body === undefined, signal },
  );
  if (body !== undefined) answer.stream.end(body);
  return { type: 'stream', status: answer.status, contentType: answer.headers['content-type'] ?? 'text/plain', stream: answer.stream };
}

const options = (kind: string) => ({ group: '', version: 'v1', kind });

export const podProxy = (tunnel: Tunnel): SubresourceDef => ({
  resource: pods,
  name: 'proxy',
  kind: options('PodProxyOptions'),
  verbs,
  handle: (request) => proxyTo(request, tunnel, podDestination),
});

export const serviceProxy = (tunnel: Tunnel): SubresourceDef => ({
  resource: services,
  name: 'proxy',
  kind: options('ServiceProxyOptions'),
  verbs,
  handle: (request) => proxyTo(request, tunnel, serviceDestination),
});

export const nodeProxySubresource = (tunnel: Tunnel): SubresourceDef => ({
  resource: nodes,
  name: 'proxy',
  kind: options('NodeProxyOptions'),
  verbs,
  handle: (request) => nodeProxy(request, tunnel),
});
