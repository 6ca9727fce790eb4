/** What a server behind an APIService says of its resources, read with care: kube-aggregator pkg/apiserver/handler_discovery.go. */
import { isArray, isObject, type JsonObject, own } from '#kube/json-value.ts';
import { aggregatorUser, type FetchDocument } from './documents.ts';
import type { GroupVersion } from './route.ts';

const aggregatedType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const olderType = 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList';
const maxBytes = 4 * 1024 * 1024;
const timeoutMs = 5000;
/** More than any real server has in one version. */
const maxResources = 2000;
const maxText = 512;

/** The part of an APIVersionDiscovery that says what there is. */
export interface DiscoveredVersion {
  readonly resources: readonly JsonObject[];
}

export interface Discovered {
  /** By "group/version". */
  readonly versions: ReadonlyMap<string, DiscoveredVersion>;
  readonly etag: string;
}

const text = (object: JsonObject, key: string): string => {
  const value = own(object, key);
  return typeof value === 'string' ? value.slice(0, maxText) : '';
};
const texts = (object: JsonObject, key: string): string[] => {
  const value = own(object, key);
  return isArray(value) ? value.filter((v) => typeof v === 'string').slice(0, 64) : [];
};
const objects = (object: JsonObject, key: string): JsonObject[] => {
  const value = own(object, key);
  return isArray(value) ? value.filter(isObject).slice(0, maxResources) : [];
};
const optional = (name: string, values: readonly unknown[]): JsonObject => (values.length === 0 ? {} : { [name]: values });

function kindOf(object: JsonObject): JsonObject {
  const value = own(object, 'responseKind');
  if (!isObject(value)) return {};
  return { responseKind: { group: text(value, 'group'), version: text(value, 'version'), kind: text(value, 'kind') } };
}

function resourceOf(object: JsonObject): JsonObject {
  const subresources = objects(object, 'subresources').map((s) => ({
    subresource: text(s, 'subresource'),
    ...kindOf(s),
    verbs: texts(s, 'verbs'),
  }));
  return {
    resource: text(object, 'resource'),
    ...kindOf(object),
    scope: text(object, 'scope') === 'Namespaced' ? 'Namespaced' : 'Cluster',
    singularResource: text(object, 'singularResource'),
    verbs: texts(object, 'verbs'),
    ...optional('shortNames', texts(object, 'shortNames')),
    ...optional('categories', texts(object, 'categories')),
    ...optional('subresources', subresources),
  };
}

function parse(body: Buffer): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw new Error('the discovery document is no JSON');
  }
  if (!isObject(value)) throw new Error('the discovery document is no object');
  return value;
}

/** An APIGroupDiscoveryList. */
export function decodeAggregated(body: Buffer): ReadonlyMap<string, DiscoveredVersion> {
  const versions = new Map<string, DiscoveredVersion>();
  for (const group of objects(parse(body), 'items')) {
    const meta = own(group, 'metadata');
    const name = isObject(meta) ? text(meta, 'name') : '';
    for (const version of objects(group, 'versions'))
      versions.set(`${name}/${text(version, 'version')}`, { resources: objects(version, 'resources').map(resourceOf) });
  }
  return versions;
}

/** An APIResourceList: endpoints.ConvertGroupVersionIntoToDiscovery. */
export function decodeResourceList(body: Buffer, { group, version }: GroupVersion): DiscoveredVersion {
  const all = objects(parse(body), 'resources');
  const kind = (o: JsonObject): JsonObject => ({
    responseKind: { group: text(o, 'group') || group, version: text(o, 'version') || version, kind: text(o, 'kind') },
  });
  const resources = all
    .filter((o) => !text(o, 'name').includes('/'))
    .map((o) => {
      const name = text(o, 'name');
      const subresources = all
        .filter((s) => text(s, 'name').startsWith(`${name}/`))
        .map((s) => ({ subresource: text(s, 'name').slice(name.length + 1), ...kind(s), verbs: texts(s, 'verbs') }));
      return {
        resource: name,
        ...kind(o),
        scope: own(o, 'namespaced') === true ? 'Namespaced' : 'Cluster',
        singularResource: text(o, 'singularName'),
        verbs: texts(o, 'verbs'),
        ...optional('shortNames', texts(o, 'shortNames')),
        ...optional('categories', texts(o, 'categories')),
        ...optional('subresources', subresources),
      };
    });
  return { resources };
}

/** What is served now. `known` is given back where nothing has changed. Rejects with an Error that says what is wrong. */
export async function readDiscovery(
  fetch: FetchDocument,
  known: Discovered | undefined,
  { group, version }: GroupVersion,
  signal: AbortSignal,
): Promise<Discovered> {
  const request = { user: aggregatorUser, maxBytes, timeoutMs };
  const etag = known === undefined || known.etag === '' ? {} : { etag: known.etag };
  const root = group === '' ? '/api' : '/apis';
  const accept = `${aggregatedType},${olderType},application/json`;
  const all = await fetch({ ...request, ...etag, path: root, accept }, signal);
  if (all.status === 304 && known !== undefined) return known;
  if (all.status === 200 && all.contentType.includes('as=APIGroupDiscoveryList'))
    return { versions: decodeAggregated(all.body), etag: all.etag };
  // A server that knows nothing of aggregated discovery.
  const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const one = await fetch({ ...request, path, accept: 'application/json' }, signal);
  if (one.status !== 200) throw new Error(`failed to download discovery for ${path}: status ${one.status}`);
  return { versions: new Map([[`${group}/${version}`, decodeResourceList(one.body, { group, version })]]), etag: '' };
}
