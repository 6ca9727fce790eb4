/** /api, /apis and below: legacy discovery and aggregated discovery v2. Answers are made once per change of the registry. */
import { createHash } from 'node:crypto';
import type { ApiRequest, ApiResponse } from '../contract.ts';
import { negotiate } from '../http/negotiate.ts';
import type { Registry } from '../registry.ts';
import type { RequestInfo } from '../request-info.ts';
import { discoveryVersion, resourceList } from './resources.ts';

export interface DiscoveryOptions {
  readonly registry: Registry;
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
  const { registry } = options;
  let generation = -1;
  let documents = new Map<string, Document>();
  const cached = (key: string, make: () => unknown): Document => {
    if (registry.generation() !== generation) {
      documents = new Map();
      generation = registry.generation();
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
          cached(`v2 ${root}`, () => aggregated(registry, root)),
        );
      return answer(cached(root, () => (root === 'api' ? apiVersions(registry, options.serverAddress()) : groupList(registry))));
    }
    const group = root === 'api' ? '' : (rest[0] ?? '');
    const version = root === 'api' ? rest[0] : rest[1];
    if (version === undefined) {
      if (registry.versions(group).length === 0) return undefined;
      return answer(cached(`g ${group}`, () => ({ kind: 'APIGroup', apiVersion: 'v1', ...groupOf(registry, group) })));
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

function groupOf(registry: Registry, group: string) {
  const versions = registry.versions(group).map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions, preferredVersion: versions[0] };
}

const groupList = (registry: Registry): unknown => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: namedGroups(registry).map((group) => groupOf(registry, group)),
});

const namedGroups = (registry: Registry): string[] => registry.groups().filter((g) => g !== '');

const aggregated = (registry: Registry, root: 'api' | 'apis'): unknown => ({
  kind: 'APIGroupDiscoveryList',
  apiVersion: 'apidiscovery.k8s.io/v2',
  metadata: {},
  items: (root === 'api' ? [''] : namedGroups(registry)).map((group) => ({
    metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
    versions: registry.versions(group).map((version) => discoveryVersion(registry, group, version)),
  })),
});
