/** /openapi/v3 and below, /openapi/v2: made on first use after a change of the registry, then served from memory. */
import { createHash } from 'node:crypto';
import { openApiV2, openApiV3 } from '#kube/openapi.ts';
import { mergeV2, type OpenApiPart } from '#kube/openapi-merge.ts';
import type { Descriptions, Json } from '#kube/openapi-schema.ts';
import { encodeOpenApiV2, openApiV2Media } from '#kube/openapi-v2-protobuf.ts';
import { loadDescriptions } from '#kube/schema-registry.ts';
import { StatusError } from '#kube/status-error.ts';
import type { ApiRequest, ApiResponse } from '../contract.ts';
import type { PathHandler } from '../handler.ts';
import type { Registry, Resource } from '../registry.ts';
import type { Catalogue } from './discovery.ts';

interface Document {
  readonly body: Buffer;
  readonly hash: string;
}

/** The v3 document of a group version that another server serves: its own, or one made of its v2 document. */
export type RemoteV3 = { readonly path: string } & (
  | { readonly hash: string; readonly answer: (request: ApiRequest) => Promise<ApiResponse> }
  | { readonly document: Json }
);

export interface RemoteDocuments {
  readonly v3: () => readonly RemoteV3[];
  /** To be joined with the v2 document. */
  readonly parts: () => readonly OpenApiPart[];
}

export interface OpenApiOptions {
  readonly registry: Registry;
  readonly catalogue: Pick<Catalogue, 'groups'>;
  readonly remote: RemoteDocuments;
  readonly version: string;
}

/** Answers GET of OpenAPI paths; undefined for others. */
export function createOpenApi(options: OpenApiOptions): PathHandler {
  const documents = createDocuments(options);
  return (request, info) => {
    const [root, version, ...rest] = info.segments;
    if (root !== 'openapi' || (request.method !== 'GET' && request.method !== 'HEAD')) return undefined;
    if (version === 'v2' && rest.length === 0) return v2(documents, request);
    if (version !== 'v3') return undefined;
    if (rest.length === 0) return index(documents, options);
    const path = rest.join('/');
    if (documents.paths().includes(path)) return v3(documents.v3(path), request);
    const elsewhere = options.remote.v3().find((d) => d.path === path);
    if (elsewhere === undefined) return undefined;
    return 'answer' in elsewhere ? elsewhere.answer(request) : v3(Promise.resolve(documentOf(elsewhere.document)), request);
  };
}

interface Documents {
  /** "api/v1", "apis/apps/v1". */
  readonly paths: () => readonly string[];
  readonly v3: (path: string) => Promise<Document>;
  readonly v2: () => Promise<Document>;
  /** The same as protobuf, which is all that kubectl takes. */
  readonly v2Protobuf: () => Promise<Document>;
}

function documentOf(document: Json, encode: (document: Json) => Buffer = (made) => Buffer.from(JSON.stringify(made))): Document {
  const body = encode(document);
  return { body, hash: createHash('sha512').update(body).digest('hex').toUpperCase() };
}

function createDocuments({ registry, catalogue, remote, version }: OpenApiOptions): Documents {
  let descriptions: Promise<Descriptions> | undefined;
  /** A document stays as long as the very resources and parts it shows are served. */
  const made = new Map<string, { readonly sources: readonly object[]; readonly document: Promise<Document> }>();
  const document = (
    key: string,
    sources: readonly object[],
    make: (descriptions: Descriptions) => Json,
    encode?: (document: Json) => Buffer,
  ): Promise<Document> => {
    const known = made.get(key);
    if (known !== undefined && known.sources.length === sources.length && known.sources.every((r, i) => r === sources[i]))
      return known.document;
    descriptions ??= loadDescriptions();
    const fresh = descriptions.then((texts) => documentOf(make(texts), encode));
    made.set(key, { sources, document: fresh });
    return fresh;
  };
  const defs = (resources: readonly Resource[]) => resources.map((r) => r.def);
  const sourcesOfV2 = () => [...registry.all(), ...remote.parts()];
  const joined = (texts: Descriptions): Json => mergeV2(openApiV2(defs(registry.all()), { version, descriptions: texts }), remote.parts());
  return {
    paths: () =>
      catalogue
        .groups()
        .flatMap((g) => g.versions)
        .filter((v) => v.remote === undefined)
        .map(({ group, version }) => (group === '' ? `api/${version}` : `apis/${group}/${version}`)),
    v3: (path) => {
      const [, first = '', second] = path.split('/');
      const resources = second === undefined ? registry.resourcesOf('', first) : registry.resourcesOf(first, second);
      return document(path, resources, (texts) => openApiV3(defs(resources), { version, descriptions: texts }));
    },
    v2: () => document('v2', sourcesOfV2(), joined),
    v2Protobuf: () => document('v2 protobuf', sourcesOfV2(), joined, encodeOpenApiV2),
  };
}

const json = (document: Document, headers: Readonly<Record<string, string>> = {}): ApiResponse => ({
  type: 'bytes',
  status: 200,
  contentType: 'application/json',
  body: document.body,
  headers: { etag: `"${document.hash}"`, vary: 'Accept', ...headers },
});

const notModified = (document: Document): ApiResponse => ({
  type: 'bytes',
  status: 304,
  contentType: 'application/json',
  body: '',
  headers: { etag: `"${document.hash}"` },
});

function index(documents: Documents, { registry, remote }: OpenApiOptions): ApiResponse {
  const paths: Record<string, unknown> = {};
  const add = (path: string, hash: string): void => {
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}${hash === '' ? '' : `?hash=${hash}`}` };
  };
  for (const path of documents.paths()) add(path, hashOf(registry, path));
  for (const one of remote.v3()) add(one.path, 'hash' in one ? one.hash : documentOf(one.document).hash);
  return {
    type: 'bytes',
    status: 200,
    contentType: 'application/json',
    body: `${JSON.stringify({ paths })}\n`,
    headers: { vary: 'Accept' },
  };
}

/** Identifies a document without making it: by what it is made from. */
function hashOf(registry: Registry, path: string): string {
  const [, first = '', second] = path.split('/');
  const resources = second === undefined ? registry.resourcesOf('', first) : registry.resourcesOf(first, second);
  const hash = createHash('sha512');
  for (const { def } of resources)
    hash.update(JSON.stringify([def.ref, def.schemaTag ?? '', def.verbs ?? '', Object.keys(def.selectableFields ?? {})]));
  return hash.digest('hex').toUpperCase();
}

/** A URL with the hash may be kept for good. */
const immutable = { 'cache-control': 'public, immutable', expires: 'Tue, 31 Dec 2126 00:00:00 GMT' };

async function v3(made: Promise<Document>, request: ApiRequest): Promise<ApiResponse> {
  acceptsJson(request);
  const document = await made;
  if (request.headers['if-none-match'] === `"${document.hash}"`) return notModified(document);
  return json(document, request.query.has('hash') ? immutable : {});
}

/** How protobuf is asked for: old clients write an @ before the version. */
const wantsProtobuf = /^application\/com\.github\.proto-openapi\.spec\.v2[@.]v1\.0\+protobuf/;

async function v2(documents: Documents, request: ApiRequest): Promise<ApiResponse> {
  if (wantsProtobuf.test(request.headers['accept'] ?? '')) {
    const document = await documents.v2Protobuf();
    if (request.headers['if-none-match'] === `"${document.hash}"`) return notModified(document);
    const headers = { etag: `"${document.hash}"`, vary: 'Accept' };
    return { type: 'bytes', status: 200, contentType: openApiV2Media, body: document.body, headers };
  }
  acceptsJson(request);
  const document = await documents.v2();
  return request.headers['if-none-match'] === `"${document.hash}"` ? notModified(document) : json(document);
}

/** Throws StatusError NotAcceptable for a client that wants protobuf and nothing else. */
function acceptsJson(request: ApiRequest): void {
  const accept = request.headers['accept'] ?? '';
  if (accept === '' || accept.includes('json') || accept.includes('*/*') || accept.includes('application/*')) return;
  throw new StatusError('NotAcceptable', 'only the following media types are accepted: application/json');
}
