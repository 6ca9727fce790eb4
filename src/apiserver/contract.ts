/**
 * What the parts of the API server agree on. The core (handler.ts) takes an ApiRequest and gives an ApiResponse; who
 * carries them (HTTP, in process) is no concern of it, and how authentication, authorization, admission plugins and
 * subresources work is no concern of either.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import type { Draft, KindDef, StrategyContext } from '#kube/kind.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import type { CachedEntry } from '#store/contract.ts';
import type { ReadBody } from './yaml-reader.ts';

/** An authenticated user. */
export type UserInfo = StrategyContext['user'];

/** Lower-case names; repeated headers joined with ", ". */
export type RequestHeaders = Readonly<Record<string, string | undefined>>;

/** What an authenticator sees of a request. */
export interface AuthnRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: RequestHeaders;
  /** Names and values as they came, for headers that may repeat. */
  readonly rawHeaders: readonly string[];
  /**
   * The client's certificate (DER), when it sent one, and those that it sent along. `authorized`: its chain ends at the
   * client authority and is valid now.
   */
  readonly peer: { readonly raw: Uint8Array; readonly intermediates: readonly Uint8Array[]; readonly authorized: boolean } | undefined;
  /** The same object for all requests of one connection: a key for a WeakMap cache. */
  readonly connection: object;
  readonly remoteAddress: string;
}

/**
 * The effective user (impersonation applied). No credentials: system:anonymous in group system:unauthenticated. Throws
 * StatusError Unauthorized for credentials that are wrong.
 */
export type Authenticate = (request: AuthnRequest, signal: AbortSignal) => Promise<UserInfo>;

/** What is asked of an authorizer: k8s.io/apiserver authorizer.Attributes. */
export interface AuthorizationAttributes {
  readonly user: UserInfo;
  /** A Kubernetes verb for resource requests (get, list, watch, create…), the lower-case HTTP method otherwise. */
  readonly verb: string;
  readonly resourceRequest: boolean;
  readonly group: string;
  readonly version: string;
  /** Plural. */
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly path: string;
  /** The selectors of list, watch and deletecollection as the client wrote them. */
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}

export interface Decision {
  readonly decision: 'allow' | 'deny' | 'noOpinion';
  readonly reason: string;
}

export type Authorize = (attributes: AuthorizationAttributes, signal: AbortSignal) => Decision | Promise<Decision>;

/** Reads of current objects, straight from memory. Objects are frozen and shared. */
export interface ObjectReader {
  readonly get: <T extends KubeObject>(ref: ResourceRef<T>, namespace: string, name: string) => Stored<T> | undefined;
  /** Namespace '': all. */
  readonly list: <T extends KubeObject>(ref: ResourceRef<T>, namespace: string) => readonly Stored<T>[];
  /** The KindDef that serves a resource or a kind now, custom ones included. */
  readonly kindOf: (group: string, version: string, kind: string) => KindDef | undefined;
  readonly resourceOf: (group: string, version: string, plural: string) => KindDef | undefined;
  /** The other KindDefs under which the same stored objects are served: further versions, or a second group (events). */
  readonly equivalents: (def: KindDef) => readonly KindDef[];
}

/**
 * Direct reads and writes, past authorization and admission: for the server's own bookkeeping (quota status,
 * allocation, bootstrap objects). Objects are validated no further.
 */
export interface ObjectStore extends ObjectReader {
  /** Gives the object as it is now, as often as it is called, also when it has changed since; nothing of it is kept but its bytes. */
  readonly snapshot: <T extends KubeObject>(ref: ResourceRef<T>, namespace: string, name: string) => (() => Stored<T>) | undefined;
  readonly create: <T extends KubeObject>(ref: ResourceRef<T>, object: T) => Promise<Stored<T>>;
  /** Applies `change` to a draft of the current object until the write succeeds; `change` returning false leaves the object as it is. Undefined: there is no such object. */
  readonly modify: <T extends KubeObject>(
    ref: ResourceRef<T>,
    namespace: string,
    name: string,
    change: (draft: Draft, current: Stored<T>) => boolean,
  ) => Promise<Stored<T> | undefined>;
  /** True when this call removed it. */
  readonly remove: (ref: ResourceRef, namespace: string, name: string) => Promise<boolean>;
}

export type AdmissionOperation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

/** What an admission plugin sees: k8s.io/apiserver admission.Attributes. */
export interface AdmissionRequest {
  readonly operation: AdmissionOperation;
  readonly def: KindDef;
  readonly subresource: string;
  readonly namespace: string;
  /** '' while generateName has not run yet. */
  readonly name: string;
  /** The new object; `admit` may change it in place. Absent for DELETE. For subresources with a body of their own (Binding, Eviction, Scale) that body. */
  readonly object: Draft | undefined;
  readonly oldObject: KubeObject | undefined;
  /** CreateOptions, UpdateOptions, DeleteOptions or the options of a CONNECT. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly dryRun: boolean;
  readonly user: UserInfo;
  readonly signal: AbortSignal;
  /** Adds a Warning header. */
  readonly warn: (message: string) => void;
  /** Adds an audit annotation. `level`: only where the audit policy records at least that much of the request. */
  readonly audit: (key: string, value: string, level?: 'Request') => void;
}

/**
 * What the mutating plugins of one request tell each other: webhooks and policies that change the object want all plugins to run
 * once more (k8s.io/apiserver pkg/admission/reinvocation.go).
 */
export interface Reinvocation {
  /** True in the second round. */
  again: boolean;
  /** Set by plugins whose change the others should see. */
  wanted: boolean;
}

/** A request while it may still be changed. */
export interface MutatingRequest extends AdmissionRequest {
  readonly reinvocation: Reinvocation;
}

/** Refuses by throwing StatusError (forbidden, invalid…). Plugins are listed in admission/index.ts in upstream's order. */
export interface AdmissionPlugin {
  readonly name: string;
  /** False: this plugin is not asked. A cheap test on operation, resource and subresource. */
  readonly handles: (request: AdmissionRequest) => boolean;
  readonly admit?: (request: MutatingRequest) => void | Promise<void>;
  readonly validate?: (request: AdmissionRequest) => void | Promise<void>;
}

/** A request as the core sees it. */
export interface ApiRequest {
  readonly method: string;
  /** Decoded by segment only where the router needs it: as sent, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: RequestHeaders;
  /** Raw body; undefined when there is none. */
  readonly body: Uint8Array | undefined;
  /** What the body came to, where it was so long that it was read in another thread. */
  readonly read?: ReadBody;
  /** Instead of `body`, for requests that are passed on to another server: the body as it comes in, of any length. */
  readonly bodyStream?: Readable;
  /** In process only: the body as an object. It is never changed. */
  readonly object?: unknown;
  readonly user: UserInfo;
  readonly signal: AbortSignal;
  readonly remoteAddress?: string;
  /** True when the client asked for a protocol upgrade. */
  readonly upgrade?: boolean;
  /** Adds an annotation to the request's audit event; absent where the request is not recorded. Of a key, the first value counts. */
  readonly annotate?: AdmissionRequest['audit'];
}

interface ResponseCommon {
  readonly headers?: Readonly<Record<string, string>>;
  /** Texts of Warning headers. */
  readonly warnings?: readonly string[];
}

/** One event for a watcher. The same `entry` reaches all watchers, so that its frame is encoded once. */
export interface WatchItem {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly entry: CachedEntry;
}

export type WatchMessage =
  | { readonly type: 'events'; readonly items: readonly WatchItem[] }
  | { readonly type: 'bookmark'; readonly revision: number; readonly initialEventsEnd: boolean }
  | { readonly type: 'error'; readonly status: unknown };

export type ApiResponse = ResponseCommon &
  (
    | { readonly type: 'entry'; readonly status: number; readonly def: KindDef; readonly entry: CachedEntry }
    /** An object made for this request: a Status, a Scale, a review, a dry run's result. `def`: the kind, where it has a table. */
    | { readonly type: 'object'; readonly status: number; readonly object: unknown; readonly def?: KindDef }
    | {
        readonly type: 'list';
        readonly status: 200;
        readonly def: KindDef;
        readonly entries: readonly CachedEntry[];
        /** Absent for what is not stored. */
        readonly revision?: number;
        readonly continue?: string;
        readonly remaining?: number;
      }
    | { readonly type: 'watch'; readonly status: 200; readonly def: KindDef; readonly messages: AsyncIterable<WatchMessage> }
    | { readonly type: 'bytes'; readonly status: number; readonly contentType: string; readonly body: Uint8Array | string }
    | { readonly type: 'stream'; readonly status: number; readonly contentType: string; readonly stream: Readable }
    /** The handler takes over the connection of an upgrade request (it writes the 101 itself). HTTP/1.1 only. */
    | { readonly type: 'upgrade'; readonly accept: (request: IncomingMessage, socket: Duplex, head: Buffer) => void }
  );

/** What a subresource handler has at hand. */
export interface SubresourceRequest {
  readonly request: ApiRequest;
  readonly def: KindDef;
  readonly namespace: string;
  readonly name: string;
  /** For proxy: what follows the subresource in the path, with its leading slash; else ''. */
  readonly rest: string;
  readonly store: ObjectStore;
  /** The decoded JSON or YAML body. Throws StatusError for a missing or malformed one. */
  readonly readBody: () => unknown;
  /** Runs admission with the given object on this subresource. */
  readonly admit: (operation: AdmissionOperation, object: Draft | undefined, options?: Readonly<Record<string, unknown>>) => Promise<void>;
}

/** A subresource beyond status and scale: given to the server as data, served and shown in discovery. */
export interface SubresourceDef {
  readonly resource: ResourceRef;
  /** The path segment: log, exec, token. */
  readonly name: string;
  /** The kind that discovery shows. */
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  /** Verbs as discovery shows them; GET and POST of a CONNECT-style subresource are authorized as get and create. */
  readonly verbs: readonly string[];
  readonly handle: (request: SubresourceRequest) => Promise<ApiResponse>;
}

/**
 * Answers the creation of a kind that is never stored (KindDef.ephemeral): SubjectAccessReview, TokenReview. The object
 * has been decoded, defaulted and validated, and the request authorized; the answer is sent with 201.
 */
export interface ReviewDef {
  readonly resource: ResourceRef;
  readonly handle: (object: Draft, request: ApiRequest, namespace: string) => Promise<KubeObject>;
}

/** A kind that is worked out whenever it is asked for and never stored: ComponentStatus. Only get and list. */
export interface ComputedDef {
  readonly resource: ResourceRef;
  /** All objects, in the order of their names. */
  readonly list: () => Promise<readonly KubeObject[]>;
}

/** A path outside the Kubernetes API: /cacerts, /ping, /v1-k3ts/*. */
export interface ExtraRoute {
  readonly methods: readonly string[];
  /** Exact, or everything below when it ends with '/*'. */
  readonly path: string;
  /** 'none': anyone (the handler checks what it must itself); 'authorized': as any non-resource path. */
  readonly access: 'none' | 'authorized';
  readonly handle: (request: ApiRequest) => Promise<ApiResponse>;
}
