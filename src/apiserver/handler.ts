/** The core: a request with its user in, a response out. Routing, authorization, verbs, and errors as Status. */
import { StatusError, toStatus } from '#kube/status-error.ts';
import { forbiddenError } from './authz/messages.ts';
import { readComputed } from './computed.ts';
import { ExpiredListError } from './continue.ts';
import type { ApiRequest, ApiResponse, ComputedDef, ReviewDef, WatchMessage } from './contract.ts';
import type { Core, VerbRequest } from './core.ts';
import { isLongRunning } from './flowcontrol/classify.ts';
import { negotiate } from './http/negotiate.ts';
import type { Metrics } from './metrics.ts';
import type { Resource } from './registry.ts';
import { attributesOf, parseRequestInfo, type RequestInfo } from './request-info.ts';
import { createReview } from './reviews.ts';
import { handleSubresource } from './subresources/index.ts';
import { create } from './verbs/create.ts';
import { remove } from './verbs/delete.ts';
import { deleteCollection } from './verbs/deletecollection.ts';
import { get } from './verbs/get.ts';
import { list } from './verbs/list.ts';
import { patch } from './verbs/patch.ts';
import { update } from './verbs/update.ts';
import { watch } from './verbs/watch.ts';
import { convertAhead } from './view.ts';
import type { YamlReader } from './yaml-reader.ts';

/** Answers paths that name no resource: discovery, health, metrics. Undefined: not one of its paths. */
export type PathHandler = (request: ApiRequest, info: RequestInfo) => Promise<ApiResponse | undefined> | ApiResponse | undefined;

export interface HandlerOptions {
  readonly core: Core;
  readonly metrics: Pick<Metrics, 'observe' | 'started' | 'ended'>;
  readonly reviews: readonly ReviewDef[];
  readonly computed: readonly ComputedDef[];
  readonly yaml: YamlReader;
  /** Answers for what another server serves; undefined: this one does. */
  readonly delegate: (request: ApiRequest, info: RequestInfo) => Promise<ApiResponse> | undefined;
  readonly paths: readonly PathHandler[];
  /** Paths that anyone may ask for: upstream lets them be authorized too, by system:public-info-viewer. */
  readonly alwaysAllowed: (path: string) => boolean;
}

/** What a request whose path cannot be read counts as. */
const unknownPath: RequestInfo = parseRequestInfo('GET', '/', new URLSearchParams());

export type Handle = (request: ApiRequest) => Promise<ApiResponse>;

const notServed = (): StatusError => new StatusError('NotFound', 'the server could not find the requested resource', { details: {} });
/** Only a definition that goes takes creation from its kind. */
const terminating = (): StatusError =>
  new StatusError('MethodNotAllowed', 'create not allowed while custom resource definition is terminating', { details: {} });
const notAllowed = (): StatusError =>
  new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource', { details: {} });

export function createHandler(options: HandlerOptions): Handle {
  const { core } = options;
  const { metrics } = options;
  return async (request) => {
    const start = core.clock.monotonic();
    let info = unknownPath;
    let response: ApiResponse;
    // Also a refusal tells them: whoever is refused may be so for what the warning says.
    const warnings: string[] = [];
    metrics.started(false);
    try {
      info = parseRequestInfo(request.method, request.path, request.query);
      response = await dispatch(options, request, info, warnings);
    } catch (error) {
      response = errorResponse(core, request, error);
    } finally {
      metrics.ended(false);
    }
    if (warnings.length > 0) response = { ...response, warnings: [...(response.warnings ?? []), ...new Set(warnings)] };
    metrics.observe(info, request, 'status' in response ? response.status : 101, (core.clock.monotonic() - start) / 1000);
    return response.type === 'watch' ? { ...response, messages: counted(response.messages, metrics) } : response;
  };
}

async function* counted(messages: AsyncIterable<WatchMessage>, metrics: HandlerOptions['metrics']): AsyncIterable<WatchMessage> {
  metrics.started(true);
  try {
    yield* messages;
  } finally {
    metrics.ended(true);
  }
}

async function dispatch(options: HandlerOptions, request: ApiRequest, info: RequestInfo, warnings: string[]): Promise<ApiResponse> {
  await authorizeRequest(options, request, info);
  const elsewhere = options.delegate(request, info);
  if (elsewhere !== undefined) return await elsewhere;
  if (!info.isResource) return await handlePath(options, request, info);
  const resource = options.core.registry.resource(info.group, info.version, info.resource);
  if (resource === undefined) return (await otherPath(options, request, info)) ?? fail(notServed());
  return await handleResource(options, { core: options.core, request: await readAhead(options, request), info, resource, warnings });
}

const isYaml = (contentType: string): boolean => /^application\/(?:apply-patch\+)?yaml\b/i.test(contentType);

/** Long YAML is read elsewhere, so that others are answered meanwhile. Rejects with StatusError. */
async function readAhead({ yaml }: HandlerOptions, request: ApiRequest): Promise<ApiRequest> {
  if (request.body === undefined || !isYaml(request.headers['content-type'] ?? '')) return request;
  const reading = yaml.read(request.body, request.signal);
  return reading === undefined ? request : { ...request, read: await reading };
}

function fail(error: StatusError): never {
  throw error;
}

async function otherPath(options: HandlerOptions, request: ApiRequest, info: RequestInfo): Promise<ApiResponse | undefined> {
  for (const path of options.paths) {
    const response = await path(request, info);
    if (response !== undefined) return response;
  }
  return undefined;
}

async function handlePath(options: HandlerOptions, request: ApiRequest, info: RequestInfo): Promise<ApiResponse> {
  return (await otherPath(options, request, info)) ?? fail(notServed());
}

/** The Status for whatever was thrown. What is no StatusError is a bug: it is logged with its stack and answered with 500. */
export function errorResponse(core: Pick<Core, 'log'>, request: ApiRequest, error: unknown): ApiResponse {
  if (error instanceof StatusError) {
    const status = toStatus(error);
    const body = error instanceof ExpiredListError ? { ...status, metadata: { continue: error.continueToken } } : status;
    const retry = error.details?.retryAfterSeconds;
    return {
      type: 'object',
      status: error.code,
      object: body,
      ...(retry === undefined ? {} : { headers: { 'retry-after': String(retry) } }),
    };
  }
  if (request.signal.aborted) return { type: 'object', status: 499, object: toStatus(new StatusError('Timeout', 'the client went away')) };
  core.log.error('request failed', { method: request.method, path: request.path, error });
  return {
    type: 'object',
    status: 500,
    object: toStatus(
      new StatusError('InternalError', `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`),
    ),
  };
}

/** Throws StatusError Forbidden with upstream's words. */
async function authorizeRequest(options: HandlerOptions, request: ApiRequest, info: RequestInfo): Promise<void> {
  if (!info.isResource && options.alwaysAllowed(request.path)) return;
  const attributes = attributesOf(request, info);
  const pending = options.core.authorize(attributes, request.signal);
  const decision = pending instanceof Promise ? await pending : pending;
  if (decision.decision !== 'allow') throw forbiddenError(attributes, decision.reason);
}

async function handleResource(options: HandlerOptions, r: VerbRequest): Promise<ApiResponse> {
  checkScope(r);
  const { deprecation } = r.resource.def;
  if (deprecation !== undefined) r.warnings.push(deprecation);
  checkAccept(r);
  const leave = isLongRunning(r.info) ? undefined : r.resource.def.serving?.enter();
  try {
    const response = r.info.subresource === '' ? await handleVerb(options, r) : await handleSubresource(r);
    if (response.type === 'entry') await convertAhead(response.def, [response.entry], r.request.signal);
    else if (response.type === 'list') await convertAhead(response.def, response.entries, r.request.signal);
    return response;
  } finally {
    leave?.();
  }
}

/** A request whose answer its client would not take does nothing. Throws StatusError NotAcceptable. */
function checkAccept({ info, request, resource: { def } }: VerbRequest): void {
  if (isLongRunning(info)) return;
  // Kinds that are questions have no table.
  negotiate(request.headers['accept'], def.custom !== true, !(def.ephemeral === true && info.verb === 'create'));
}

/** A namespaced path for a cluster-scoped resource, or a name without a namespace, is no path. */
function checkScope({ info, resource }: VerbRequest): void {
  const { ref } = resource.def;
  if (ref.namespaced) {
    if (info.namespace === '' && info.name !== '') throw notServed();
  } else if (info.namespace !== '' && !(ref.plural === 'namespaces' && info.namespace === info.name)) throw notServed();
}

async function handleVerb(options: HandlerOptions, r: VerbRequest): Promise<ApiResponse> {
  const { info, resource, request } = r;
  if (!methodFits(info, resource.def.ref.namespaced)) throw notAllowed();
  if (!allows(resource, info.verb)) throw resource.custom && info.verb === 'create' ? terminating() : notAllowed();
  if (resource.def.ephemeral === true)
    return info.verb === 'create' ? await createReview(r, options.reviews) : await readComputed(r, options.computed);
  switch (info.verb) {
    case 'create':
      return await create(r);
    case 'get':
      return await get(r);
    case 'list':
      return await list(r);
    case 'watch':
      return watch(r);
    case 'update':
      return await update(r);
    case 'patch':
      return await patch(r);
    case 'delete':
      return await remove(r);
    case 'deletecollection':
      return await deleteCollection(r);
    default:
      request.signal.throwIfAborted();
      throw notAllowed();
  }
}

const allows = (resource: Resource, verb: string): boolean => resource.verbs.has(verb);

/** POST to a name, PUT or PATCH to a collection, and DELETE of a collection in all namespaces at once are refused. */
function methodFits(info: RequestInfo, namespaced: boolean): boolean {
  if (info.verb === 'create') return info.name === '';
  if (info.verb === 'update' || info.verb === 'patch') return info.name !== '';
  return info.verb !== 'deletecollection' || !namespaced || info.namespace !== '';
}
