/** Raw requests to an API server: what was sent and what came back, nothing in between. */
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { createInterface } from 'node:readline';

export interface Meta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly Readonly<Record<string, unknown>>[];
  readonly managedFields?: readonly { readonly manager: string; readonly operation: string; readonly fieldsV1: unknown }[];
}

/** An object as it comes over the wire; tests say which fields they expect. */
export interface Obj {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Meta;
  readonly [field: string]: unknown;
}

export interface List<T = Obj> {
  readonly kind: string;
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string; readonly remainingItemCount?: number };
  readonly items: readonly T[];
}

export interface Answer<T = Obj> {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** The body, when it is one JSON document. */
  readonly body: T;
}

export interface Ask {
  /** Bytes and text are sent as they are, anything else as JSON. */
  readonly body?: unknown;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Event<T = Obj> {
  readonly type: string;
  readonly object: T;
}

export interface Watch<T = Obj> extends AsyncDisposable {
  readonly next: () => Promise<Event<T>>;
  /** The next event that fits; those before it are passed over. */
  readonly until: (fits: (event: Event<T>) => boolean) => Promise<Event<T>>;
}

export interface Credentials {
  readonly socketPath: string;
  readonly ca: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly token?: string;
}

export interface Client {
  readonly call: <T = Obj>(method: string, path: string, ask?: Ask) => Promise<Answer<T>>;
  /** These give the body, and fail when the answer is no success. */
  readonly get: <T = Obj>(path: string) => Promise<T>;
  readonly post: <T = Obj>(path: string, body: unknown) => Promise<T>;
  readonly put: <T = Obj>(path: string, body: unknown) => Promise<T>;
  readonly patch: <T = Obj>(path: string, body: unknown, type?: PatchType) => Promise<T>;
  readonly del: <T = Obj>(path: string, body?: unknown) => Promise<T>;
  /** Server-side apply. */
  readonly apply: <T = Obj>(path: string, body: unknown, manager: string) => Promise<T>;
  readonly watch: <T = Obj>(path: string, ask?: Ask) => Promise<Watch<T>>;
}

const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;
export type PatchType = keyof typeof patchTypes;

const bytesOf = (body: unknown): Buffer | string | undefined =>
  body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);

/** A client with the credentials that are there when it is used first. */
export function createClient(credentials: () => Credentials): Client {
  let agent: Agent | undefined;
  const send = (method: string, path: string, ask: Ask): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { socketPath, ca, cert, key, token } = credentials();
      agent ??= new Agent({ keepAlive: true, maxSockets: 64, ca, cert, key, servername: 'kubernetes' });
      const body = bytesOf(ask.body);
      const req = request({
        socketPath,
        agent,
        method,
        path,
        headers: {
          ...(body === undefined ? {} : { 'content-type': ask.type ?? 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...ask.headers,
        },
      });
      req.on('response', resolve);
      req.on('error', (error: Error & { code?: string }) => {
        // The server may close an idle connection at the moment when it is used again: Node's documentation says to try anew.
        if (req.reusedSocket && error.code === 'ECONNRESET') resolve(send(method, path, ask));
        else reject(error);
      });
      req.end(body);
    });
  const call = async <T>(method: string, path: string, ask: Ask = {}): Promise<Answer<T>> => {
    const response = await send(method, path, ask);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    const text = bytes.toString('utf8');
    // Watches are many documents.
    const json = /json/.test(response.headers['content-type'] ?? '') && !/[?&]watch=/.test(path);
    return { code: response.statusCode ?? 0, headers: response.headers, bytes, text, body: (json ? JSON.parse(text) : undefined) as T };
  };
  const must = async <T>(method: string, path: string, ask: Ask = {}): Promise<T> => {
    const answer = await call<T>(method, path, ask);
    if (answer.code >= 300) throw new Error(`${method} ${path}: ${answer.code} ${answer.text}`);
    return answer.body;
  };
  return {
    call,
    get: (path) => must('GET', path),
    post: (path, body) => must('POST', path, { body }),
    put: (path, body) => must('PUT', path, { body }),
    patch: (path, body, type = 'merge') => must('PATCH', path, { body, type: patchTypes[type] }),
    del: (path, body) => must('DELETE', path, { body }),
    apply: (path, body, manager) =>
      must('PATCH', `${path}${path.includes('?') ? '&' : '?'}fieldManager=${manager}`, { body, type: patchTypes.apply }),
    watch: async <T>(path: string, ask: Ask = {}): Promise<Watch<T>> => {
      const response = await send('GET', `${path}${path.includes('?') ? '&' : '?'}watch=true`, ask);
      if (response.statusCode !== 200) throw new Error(`watch ${path}: ${response.statusCode} ${await text(response)}`);
      const lines = createInterface({ input: response })[Symbol.asyncIterator]();
      const next = async (): Promise<Event<T>> => {
        const { value, done } = await lines.next();
        if (done === true) throw new Error(`the watch of ${path} has ended`);
        return JSON.parse(value) as Event<T>;
      };
      return {
        next,
        until: async (fits) => {
          for (;;) {
            const event = await next();
            if (fits(event)) return event;
          }
        },
        [Symbol.asyncDispose]: async () => {
          const closed = once(response, 'close');
          response.destroy();
          await closed;
        },
      };
    },
  };
}

async function text(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
