/** /openapi/v3 and below, /openapi/v2: made on first use after a change of the registry, then served from memory. */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openApiV2Head, openApiV2Parts, openApiV3 } from '#kube/openapi.ts';
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
    if (rest.length === 0) return index(documents, options, request);
    const path = rest.join('/');
    if (documents.paths().includes(path)) return v3(documents.v3(path), request);
    const elsewhere = options.remote.v3().find((d) => d.path === path);
    if (elsewhere === undefined) return undefined;
    return 'answer' in elsewhere
      ? elsewhere.answer(request)
      : v3(Promise.resolve(hashed(Buffer.from(JSON.stringify(elsewhere.document)))), request);
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

const hashed = (body: Buffer): Document => ({ body, hash: createHash('sha512').update(body).digest('hex').toUpperCase() });

/** Documents of group versions that may be kept although they are served no more. */
const maxForgotten = 1000;

/** Larger documents are kept as long as nothing else needs the memory. */
const keptBytes = 8 * 1024 * 1024;

/** A document and what it shows: it holds as long as the very resources and parts are served. */
interface Made {
  readonly sources: readonly object[];
  readonly document: () => Document | undefined;
}

const shows = (made: Made | undefined, sources: readonly object[]): boolean =>
  made !== undefined && made.sources.length === sources.length && made.sources.every((s, i) => s === sources[i]);

/**
 * One document, made when it is asked for and not there. Requests that come while it is made share it; where the resources change
 * meanwhile, one more is made for all that wait, however many changes there were.
 */
function createDocument(sourcesNow: () => readonly object[], make: () => Promise<Buffer>) {
  let made: Made | undefined;
  let making: Promise<Document> | undefined;
  const start = async (): Promise<Document> => {
    const sources = sourcesNow();
    const document = hashed(await make());
    const weak = new WeakRef(document);
    made = { sources, document: document.body.length > keptBytes ? () => weak.deref() : () => document };
    return document;
  };
  return async (): Promise<Document> => {
    for (;;) {
      const known = shows(made, sourcesNow()) ? made?.document() : undefined;
      if (known !== undefined) return known;
      if (making !== undefined) {
        await making;
        continue;
      }
      making = start().finally(() => {
        making = undefined;
      });
      return await making;
    }
  };
}

/** What parts of others add to what is there of the same names already. */
function added(parts: readonly OpenApiPart[], there: OpenApiPart): OpenApiPart {
  const merged = mergeV2({ paths: there.paths, definitions: there.definitions }, parts);
  const without = (all: unknown, known: Json): Json =>
    Object.fromEntries(Object.entries(all as Json).filter(([name]) => !Object.hasOwn(known, name)));
  return { paths: without(merged['paths'], there.paths), definitions: without(merged['definitions'], there.definitions) };
}

/** Gives the parts of the v2 document one after another, with a turn for others after each: local kinds, then what other servers add. */
async function eachPart(options: OpenApiOptions, descriptions: Descriptions, use: (part: OpenApiPart) => void): Promise<void> {
  const { registry, remote, version } = options;
  const parts = remote.parts();
  const names = new Set(parts.flatMap((p) => [...Object.keys(p.paths), ...Object.keys(p.definitions)]));
  const there: { readonly paths: Json; readonly definitions: Json } = { paths: {}, definitions: {} };
  const kinds = registry.all().map((r) => r.def);
  for (const part of openApiV2Parts(kinds, { version, descriptions })) {
    use(part);
    for (const kind of ['paths', 'definitions'] as const)
      for (const [name, value] of Object.entries(part[kind])) if (names.has(name)) there[kind][name] = value;
    await nextTurn();
  }
  if (parts.length > 0) use(added(parts, there));
}

const membersOf = (map: Json): string[] => Object.entries(map).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);

function createDocuments(options: OpenApiOptions): Documents {
  const { registry, catalogue, remote, version } = options;
  let loaded: Promise<Descriptions> | undefined;
  const descriptions = (): Promise<Descriptions> => {
    loaded ??= loadDescriptions();
    return loaded;
  };
  const paths = (): string[] =>
    catalogue
      .groups()
      .flatMap((g) => g.versions)
      .filter((v) => v.remote === undefined)
      .map(({ group, version }) => (group === '' ? `api/${version}` : `apis/${group}/${version}`));
  const v3 = new Map<string, () => Promise<Document>>();
  const v3Document = (path: string): (() => Promise<Document>) => {
    const [, first = '', second] = path.split('/');
    const resources = (): readonly Resource[] =>
      second === undefined ? registry.resourcesOf('', first) : registry.resourcesOf(first, second);
    return createDocument(resources, async () => {
      const texts = await descriptions();
      const kinds = resources().map((r) => r.def);
      return Buffer.from(JSON.stringify(openApiV3(kinds, { version, descriptions: texts })));
    });
  };
  const sources = (): object[] => [...registry.all(), ...remote.parts()];
  return {
    paths,
    v3: (path) => {
      const found = v3.get(path) ?? v3Document(path);
      v3.set(path, found);
      const served = v3.size > maxForgotten ? new Set(paths()) : undefined;
      if (served !== undefined) for (const known of v3.keys()) if (!served.has(known)) v3.delete(known);
      return found();
    },
    v2: createDocument(sources, async () => {
      const members: { readonly paths: string[]; readonly definitions: string[] } = { paths: [], definitions: [] };
      await eachPart(options, await descriptions(), (part) => {
        members.paths.push(...membersOf(part.paths));
        members.definitions.push(...membersOf(part.definitions));
      });
      const head = JSON.stringify(openApiV2Head(version)).slice(0, -1);
      return Buffer.from(`${head},"paths":{${members.paths.join(',')}},"definitions":{${members.definitions.sort().join(',')}}}`);
    }),
    v2Protobuf: createDocument(sources, async () => {
      const parts = [encodeOpenApiV2(openApiV2Head(version))];
      await eachPart(options, await descriptions(), (part) => parts.push(encodeOpenApiV2({ ...part })));
      return Buffer.concat(parts);
    }),
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

function index(documents: Documents, { registry, remote }: OpenApiOptions, request: ApiRequest): ApiResponse {
  const paths: Record<string, unknown> = {};
  const add = (path: string, hash: string): void => {
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}${hash === '' ? '' : `?hash=${hash}`}` };
  };
  for (const path of documents.paths()) add(path, hashOf(registry, path));
  for (const one of remote.v3()) add(one.path, 'hash' in one ? one.hash : hashed(Buffer.from(JSON.stringify(one.document))).hash);
  const document = hashed(Buffer.from(`${JSON.stringify({ paths })}\n`));
  return request.headers['if-none-match'] === `"${document.hash}"` ? notModified(document) : json(document);
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
