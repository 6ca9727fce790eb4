/**
 * The way of controllers and the scheduler to the API server: the same core, user, authorization and admission as over
 * HTTPS, but requests and answers stay objects. Answers are the frozen objects of the watch cache.
 */

import { apiVersionOf } from '#kube/refs.ts';
import { StatusError } from '#kube/status-error.ts';
import type { ApiRequest, ApiResponse, UserInfo, WatchMessage } from './contract.ts';
import type { Handle } from './handler.ts';
import { passedFrames, passedObject } from './passed-answers.ts';
import { viewOf } from './view.ts';

/** The shape of client/contract.ts KubeTransport, which this folder may not import. */
export interface InProcessTransport {
  readonly call: (request: InProcessRequest) => Promise<unknown>;
  readonly watch: (path: string, signal: AbortSignal) => AsyncIterable<{ readonly type: string; readonly object: unknown }>;
}

export interface InProcessRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly contentType?: string;
  readonly accept?: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

const never = new AbortController().signal;

function toRequest(request: InProcessRequest, user: UserInfo, userAgent: string): ApiRequest {
  const at = request.path.indexOf('?');
  return {
    method: request.method,
    path: at < 0 ? request.path : request.path.slice(0, at),
    query: new URLSearchParams(at < 0 ? '' : request.path.slice(at + 1)),
    headers: {
      'user-agent': userAgent,
      ...(request.contentType === undefined ? {} : { 'content-type': request.contentType }),
      ...(request.accept === undefined ? {} : { accept: request.accept }),
    },
    body: undefined,
    ...(request.body === undefined ? {} : { object: request.body }),
    user,
    signal: request.signal ?? never,
  };
}

/** Requests are made as `user`. `userAgent` names the field manager of writes that name none. */
export function createInProcessTransport(server: { readonly handle: Handle }, user: UserInfo, userAgent = user.name): InProcessTransport {
  return {
    call: async (request) => {
      request.signal?.throwIfAborted();
      const response = await server.handle(toRequest(request, user, userAgent));
      return response.type === 'stream' ? await passedObject(response) : objectOf(response);
    },
    watch: async function* watch(path, signal) {
      const response = await server.handle(toRequest({ method: 'GET', path, signal }, user, userAgent));
      if (response.type === 'stream') {
        yield* passedFrames(response);
        return;
      }
      if (response.type !== 'watch') {
        objectOf(response);
        throw new StatusError('InternalError', `${path} is not a watch`);
      }
      const view = viewOf(response.def);
      for await (const message of response.messages) yield* framesOf(message, response.def, view.object);
    },
  };
}

type WatchResponse = Extract<ApiResponse, { type: 'watch' }>;

function* framesOf(message: WatchMessage, def: WatchResponse['def'], object: ReturnType<typeof viewOf>['object']) {
  if (message.type === 'events')
    for (const item of message.items) yield { type: item.type as string, object: object(item.entry) as unknown };
  else if (message.type === 'error') yield { type: 'ERROR', object: message.status };
  else yield { type: 'BOOKMARK', object: bookmarkObject(def, message) };
}

/** The object of a BOOKMARK event: nothing but the revision and, at the end of the initial events, upstream's annotation. */
export function bookmarkObject(
  def: WatchResponse['def'],
  bookmark: { readonly revision: number; readonly initialEventsEnd: boolean },
): unknown {
  return {
    kind: def.ref.kind,
    apiVersion: apiVersionOf(def.ref),
    metadata: {
      resourceVersion: String(bookmark.revision),
      ...(bookmark.initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    },
  };
}

/** What a call gives. Throws the StatusError that the answer is, where it is one. */
function objectOf(response: Exclude<ApiResponse, { type: 'stream' }>): unknown {
  switch (response.type) {
    case 'entry':
      return viewOf(response.def).object(response.entry);
    case 'list': {
      const view = viewOf(response.def);
      return {
        kind: response.def.listKind ?? `${response.def.ref.kind}List`,
        apiVersion: apiVersionOf(response.def.ref),
        metadata: {
          ...(response.revision === undefined ? {} : { resourceVersion: String(response.revision) }),
          ...(response.continue === undefined ? {} : { continue: response.continue }),
          ...(response.remaining === undefined ? {} : { remainingItemCount: response.remaining }),
        },
        items: response.entries.map(view.object),
      };
    }
    case 'object':
      if (response.status >= 400) throw errorOf(response.object);
      return response.object;
    case 'bytes': {
      const text = typeof response.body === 'string' ? response.body : Buffer.from(response.body).toString('utf8');
      if (response.status >= 400) throw new StatusError('Unknown', text, { code: response.status });
      return response.contentType.startsWith('application/json') ? (JSON.parse(text) as unknown) : text;
    }
    case 'watch':
    case 'upgrade':
      throw new StatusError('BadRequest', `an answer of type ${response.type} cannot be given to an in-process call`);
  }
}

function errorOf(status: unknown): StatusError {
  const { reason, message, code, details } = status as { reason?: string; message?: string; code?: number; details?: object };
  return new StatusError((reason ?? 'Unknown') as StatusError['reason'], message ?? '', {
    ...(code === undefined ? {} : { code }),
    ...(details === undefined ? {} : { details }),
  });
}
