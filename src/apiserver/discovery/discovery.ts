/** /api, /apis and below: legacy discovery and aggregated discovery v2. Answers are made once per change of the registry. */
import { createHash } from 'node:crypto';
import type { ServedGroup, ServedVersion } from '../aggregation/order.ts';
import type { ApiRequest, ApiResponse } from '../contract.ts';
import { negotiate } from '../http/negotiate.ts';
import type { Registry } from '../registry.ts';
import type { RequestInfo } from '../request-info.ts';
import { discoveryVersion, resourceList } from './resources.ts';

/** What is served, by this server and by those behind APIServices. */
export interface Catalogue {
  /** In the order of discovery, the legacy group among them. */
  readonly groups: () => readonly ServedGroup[];
  /** What another server says of its resources: the versions part of an APIGroupDiscovery. */
  readonly remoteVersion: (apiService: string) => unknown;
  /** Grows with every change of what the above give. */
  readonly generation: () => number;
}

export interface DiscoveryOptions {
  readonly registry: Registry;
  readonly catalogue: Catalogue;
  /** "10.0.0.1:6443": where clients of the first version of discovery are sent. */
  readonly serverAddress: () => string;
}

interface Document {
  readonly body: string;
  readonly etag: string;
}

const aggregatedType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Answers GET of discovery paths; undefined for others. */
export function createDiscovery(options: DiscoveryOptions): (request: ApiRequest, info: RequestInfo) => ApiResponse | undefined {
  const { registry, catalogue } = options;
  let generation = -1;
  let documents = new Map<string, Document>();
  const cached = (key: string, make: () => unknown): Document => {
    if (catalogue.generation() !== generation) {
      documents = new Map();
      generation = catalogue.generation();
    }
    let document = documents.get(key);
    if (document === undefined) {
      const body = `${JSON.stringify(make())}\n`;
      document = { body, etag: `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"` };
      documents.set(key, document);
    }
    return document;
  };

  return (request, info) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
    const [root, ...rest] = info.segments;
    if (root !== 'api' && root !== 'apis') return undefined;
    if (rest.length === 0) {
      if (negotiate(request.headers['accept']).as === 'APIGroupDiscoveryList')
        return aggregatedAnswer(
          request,
          cached(`v2 ${root}`, () => aggregated(options, root)),
        );
      return answer(cached(root, () => (root === 'api' ? apiVersions(registry, options.serverAddress()) : groupList(catalogue))));
    }
    const group = root === 'api' ? '' : (rest[0] ?? '');
    const version = root === 'api' ? rest[0] : rest[1];
    if (version === undefined) {
      const served = catalogue.groups().find((g) => g.name === group);
      if (served === undefined) return undefined;
      return answer(cached(`g ${group}`, () => ({ kind: 'APIGroup', apiVersion: 'v1', ...groupOf(served) })));
    }
    if (rest.length > (root === 'api' ? 1 : 2) || !registry.hasGroupVersion(group, version)) return undefined;
    return answer(cached(`r ${group}/${version}`, () => resourceList(registry, group, version)));
  };
}

const answer = (document: Document): ApiResponse => ({
  type: 'bytes',
  status: 200,
  contentType: 'application/json',
  body: document.body,
});

function aggregatedAnswer(request: ApiRequest, document: Document): ApiResponse {
  const headers = { etag: document.etag, vary: 'Accept', 'cache-control': 'public' };
  if (request.headers['if-none-match'] === document.etag)
    return { type: 'bytes', status: 304, contentType: aggregatedType, body: '', headers };
  return { type: 'bytes', status: 200, contentType: aggregatedType, body: document.body, headers };
}

function apiVersions(registry: Registry, serverAddress: string): unknown {
  return {
    kind: 'APIVersions',
    versions: registry.versions(''),
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

function groupOf({ name, versions }: ServedGroup) {
  const all = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: all, preferredVersion: all[0] };
}

const groupList = (catalogue: Catalogue): unknown => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: catalogue
    .groups()
    .filter((g) => g.name !== '')
    .map(groupOf),
});

function aggregated({ registry, catalogue }: DiscoveryOptions, root: 'api' | 'apis'): unknown {
  const versionOf = ({ group, version, remote }: ServedVersion): unknown =>
    remote === undefined ? discoveryVersion(registry, group, version) : catalogue.remoteVersion(remote);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: catalogue
      .groups()
      .filter((g) => (g.name === '') === (root === 'api'))
      .map(({ name, versions }) => ({
        metadata: { ...(name === '' ? {} : { name }), creationTimestamp: null },
        versions: versions.map(versionOf),
      })),
  };
}
