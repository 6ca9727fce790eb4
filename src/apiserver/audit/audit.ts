/** Records requests as the policy wants: around the server's handler and its authentication. k8s.io/apiserver endpoints/filters/audit.go. */
import { randomUUID } from 'node:crypto';
import { parse as parseYaml } from 'yaml';
import { decodeProtobuf, isProtobuf } from '#kube/protobuf.ts';
import { apiVersionOf } from '#kube/refs.ts';
import { isStatus, StatusError, toStatus } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import { type EffectiveUser, requestorOf } from '../authn/impersonation.ts';
import { userInfoObject } from '../authn/reviews.ts';
import type { ApiRequest, ApiResponse, Authenticate, Authorize, Decision, UserInfo, WatchMessage } from '../contract.ts';
import { parseRequestInfo, type RequestInfo } from '../request-info.ts';
import { type AuditDecision, type AuditPolicy, auditDecision, type Stage } from './policy.ts';
import type { AuditFigures, AuditSink } from './sink.ts';

export type Handle = (request: ApiRequest) => Promise<ApiResponse>;

export interface Audit {
  readonly handle: (inner: Handle) => Handle;
  /** Records refused credentials. */
  readonly authenticate: (inner: Authenticate) => Authenticate;
  /** Notes decisions for the annotations. */
  readonly authorize: (inner: Authorize) => Authorize;
}

/** Of one event; upstream has no limit, but a request has no more plugins, policies and webhooks to speak of. */
const maxAnnotations = 1000;

const micro = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

function objectRef(info: RequestInfo): object | undefined {
  if (!info.isResource) return undefined;
  const { resource, namespace, name, group, version, subresource } = info;
  return {
    resource,
    ...(namespace === '' ? {} : { namespace }),
    ...(name === '' ? {} : { name }),
    ...(group === '' ? {} : { apiGroup: group }),
    apiVersion: version,
    ...(subresource === '' ? {} : { subresource }),
  };
}

/** What only the object says: the name of what is created, its uid and version. k8s.io/apiserver pkg/audit LogRequestObject. */
function completed(ref: object | undefined, info: RequestInfo, object: unknown): object | undefined {
  if (ref === undefined || (info.verb !== 'create' && info.verb !== 'update')) return ref;
  const metadata = typeof object === 'object' && object !== null && 'metadata' in object ? object.metadata : undefined;
  if (typeof metadata !== 'object' || metadata === null) return ref;
  const known = Object.entries(metadata).filter(
    ([key, value]) => ['name', 'namespace', 'uid', 'resourceVersion'].includes(key) && typeof value === 'string' && value !== '',
  );
  return { ...Object.fromEntries(known), ...ref };
}

function sourceIps(headers: ApiRequest['headers'], remote: string | undefined): readonly string[] {
  const forwarded = (headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((ip) => ip.trim())
    .filter((ip) => ip !== '');
  return remote === undefined || remote === '' || forwarded.includes(remote) ? forwarded : [...forwarded, remote.replace(/^::ffff:/, '')];
}

/** Bodies as objects, whatever the client wrote them in; what cannot be read is left out. */
function requestObject(request: ApiRequest): unknown {
  if (request.object !== undefined) return request.object;
  if (request.body === undefined) return undefined;
  const type = request.headers['content-type'] ?? 'application/json';
  try {
    if (isProtobuf(type)) return decodeProtobuf(request.body);
    const text = Buffer.from(request.body).toString('utf8');
    // A server-side apply is YAML, of which JSON is a part.
    if (/json/.test(type)) return JSON.parse(text) as unknown;
    return /yaml/.test(type) ? (parseYaml(text, { maxAliasCount: 100 }) as unknown) : undefined;
  } catch {
    return undefined;
  }
}

function responseObject(response: ApiResponse): unknown {
  if (response.type === 'entry') return response.entry.object();
  if (response.type === 'object') return response.object;
  if (response.type !== 'list') return undefined;
  return {
    kind: `${response.def.ref.kind}List`,
    apiVersion: apiVersionOf(response.def.ref),
    metadata: { resourceVersion: String(response.revision) },
    items: response.entries.map((e) => e.object()),
  };
}

function withoutManagedFields(object: unknown): unknown {
  if (typeof object !== 'object' || object === null || !('metadata' in object)) return object;
  if ('items' in object && Array.isArray(object.items)) return { ...object, items: object.items.map(withoutManagedFields) };
  const { metadata } = object;
  if (typeof metadata !== 'object' || metadata === null || !('managedFields' in metadata)) return object;
  const { managedFields: _dropped, ...rest } = metadata;
  return { ...object, metadata: rest };
}

function responseStatus(response: ApiResponse): object {
  const code = 'status' in response ? response.status : 101;
  if (response.type === 'object' && code >= 400 && typeof response.object === 'object' && response.object !== null) {
    const { status, message, reason, details } = response.object as Readonly<Record<string, unknown>>;
    return { metadata: {}, status, message, reason, details, code };
  }
  return { metadata: {}, code };
}

interface Recorder {
  readonly id: string;
  readonly decision: AuditDecision;
  /** What admission has noted. */
  readonly annotations: Map<string, string>;
  /** What the sink gives: where it is a promise, the request waits for it. */
  readonly emit: (stage: Stage, more?: object) => ReturnType<AuditSink['write']>;
}

function ended(response: ApiResponse, done: () => void): ApiResponse {
  if (response.type === 'stream') {
    response.stream.once('close', done);
    return response;
  }
  if (response.type !== 'watch') return response;
  async function* messages(from: AsyncIterable<WatchMessage>): AsyncIterable<WatchMessage> {
    try {
      yield* from;
    } finally {
      done();
    }
  }
  return { ...response, messages: messages(response.messages) };
}

/** Longer ids of clients are cut: upstream's limit. */
const longestId = 64;

export interface AuditDeps {
  readonly sink: AuditSink;
  readonly clock: Clock;
  readonly figures: Pick<AuditFigures, 'event' | 'level' | 'rejected'>;
}

export function createAudit(policy: AuditPolicy, deps: AuditDeps): Audit {
  const { sink, clock, figures } = deps;
  const decisions = new WeakMap<AbortSignal, Decision>();

  const record = (request: Omit<ApiRequest, 'user'>, user: EffectiveUser): Recorder | undefined => {
    const info = parseRequestInfo(request.method, request.path, request.query);
    // Who asks counts, not whom they act as.
    const decision = auditDecision(policy, user.impersonator ?? user, info, request.path);
    figures.level(decision.level);
    if (decision.level === 'None') return undefined;
    const query = request.query.toString();
    const sent =
      decision.level !== 'Metadata' || info.verb === 'create' || info.verb === 'update' ? requestObject(request as ApiRequest) : undefined;
    const ref = completed(objectRef(info), info, sent);
    const id = request.headers['audit-id']?.slice(0, longestId) ?? randomUUID();
    const base = {
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: decision.level,
      auditID: id,
      requestURI: query === '' ? request.path : `${request.path}?${query}`,
      verb: info.verb,
      user: userInfoObject(user.impersonator ?? user),
      ...(user.impersonator === undefined ? {} : { impersonatedUser: userInfoObject(user) }),
      ...(user.constraint === undefined ? {} : { authenticationMetadata: { impersonationConstraint: user.constraint } }),
      sourceIPs: sourceIps(request.headers, request.remoteAddress),
      ...(request.headers['user-agent'] === undefined ? {} : { userAgent: request.headers['user-agent'] }),
      ...(ref === undefined ? {} : { objectRef: ref }),
      requestReceivedTimestamp: micro(clock.now()),
    };
    const trim = (object: unknown): unknown => (decision.omitManagedFields ? withoutManagedFields(object) : object);
    const body = decision.level === 'Metadata' ? undefined : trim(sent);
    return {
      id,
      decision,
      annotations: new Map(),
      emit: (stage, more = {}) => {
        if (decision.omitStages.includes(stage)) return undefined;
        const sent = stage === 'RequestReceived' || body === undefined ? {} : { requestObject: body };
        figures.event();
        return sink.write({ ...base, stage, ...sent, ...more, stageTimestamp: micro(clock.now()) });
      },
    };
  };

  const finish = async (recorder: Recorder, request: ApiRequest, response: ApiResponse): Promise<ApiResponse> => {
    const made = decisions.get(request.signal);
    const decided =
      made === undefined
        ? {}
        : {
            'authorization.k8s.io/decision': made.decision === 'allow' ? 'allow' : 'forbid',
            'authorization.k8s.io/reason': made.reason,
          };
    const noted = Object.fromEntries([...recorder.annotations, ...Object.entries(decided)]);
    const object = recorder.decision.level === 'RequestResponse' ? responseObject(response) : undefined;
    const trimmed = recorder.decision.omitManagedFields ? withoutManagedFields(object) : object;
    const more = {
      responseStatus: responseStatus(response),
      ...(trimmed === undefined ? {} : { responseObject: trimmed }),
      ...(Object.keys(noted).length === 0 ? {} : { annotations: noted }),
    };
    const answer = { ...response, headers: { ...response.headers, 'audit-id': recorder.id } };
    if (answer.type !== 'watch' && answer.type !== 'stream') {
      await recorder.emit('ResponseComplete', more);
      return answer;
    }
    await recorder.emit('ResponseStarted', more);
    return ended(answer, () => void recorder.emit('ResponseComplete', more));
  };

  return {
    handle: (inner) => async (request) => {
      let recorder: Recorder | undefined;
      try {
        recorder = record(request, request.user);
      } catch {
        // A path that cannot be read is answered by the handler.
        return await inner(request);
      }
      if (recorder === undefined) return await inner(request);
      if ((await recorder.emit('RequestReceived')) === false) {
        figures.rejected();
        return notStored(request);
      }
      const { annotations, decision } = recorder;
      const annotate: ApiRequest['annotate'] = (key, value, level) => {
        if (annotations.has(key) || annotations.size >= maxAnnotations) return;
        if (level === undefined || decision.level !== 'Metadata') annotations.set(key, value);
      };
      return await finish(recorder, request, await inner({ ...request, annotate }));
    },
    authenticate: (inner) => async (request, signal) => {
      try {
        return await inner(request, signal);
      } catch (error) {
        if (isStatus(error, 'Unauthorized')) await recordRefusal(request, signal, error, record, nobody, ['ResponseStarted']);
        else if (error instanceof StatusError)
          await recordRefusal(request, signal, error, record, requestorOf(error) ?? nobody, ['RequestReceived', 'ResponseComplete']);
        throw error;
      }
    },
    authorize: (inner) => (attributes, signal) => {
      const note = (decision: Decision): Decision => {
        if (!decisions.has(signal)) decisions.set(signal, decision);
        return decision;
      };
      const pending = inner(attributes, signal);
      return pending instanceof Promise ? pending.then(note) : note(pending);
    },
  };
}

const nobody: UserInfo = { name: '', groups: [] };

/** Upstream's answer where the first event of a request cannot be stored and has to be. */
function notStored(request: ApiRequest): ApiResponse {
  const query = request.query.toString();
  const uri = query === '' ? request.path : `${request.path}?${query}`;
  const body = `Internal Server Error: ${JSON.stringify(uri)}: failed to store audit event\n`;
  return { type: 'bytes', status: 500, contentType: 'text/plain; charset=utf-8', body };
}

async function recordRefusal(
  request: Parameters<Authenticate>[0],
  signal: AbortSignal,
  error: StatusError,
  record: (request: Omit<ApiRequest, 'user'>, user: EffectiveUser) => Recorder | undefined,
  user: UserInfo,
  stages: readonly Stage[],
): Promise<void> {
  const { method, path, query, headers, remoteAddress } = request;
  try {
    const recorder = record({ method, path, headers, remoteAddress, query, body: undefined, signal }, user);
    const responseStatus = { ...toStatus(error), kind: undefined, apiVersion: undefined };
    for (const stage of stages) await recorder?.emit(stage, stage === 'RequestReceived' ? {} : { responseStatus });
  } catch {
    // A path that cannot be read is not recorded.
  }
}
