/** What every client of the API (controllers, scheduler, kubelet, net) may ask, whichever way the requests travel. */
import type { KubeList, KubeObject, Stored } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';

/** Where an object is; `namespace` is left out for cluster-scoped resources. */
export interface ObjectRef {
  readonly namespace?: string;
  readonly name: string;
}

export interface ListQuery {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
}

export interface WatchQuery extends Pick<ListQuery, 'namespace' | 'labelSelector' | 'fieldSelector' | 'resourceVersion'> {
  readonly allowWatchBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
}

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Stored<T> }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly initialEventsEnd: boolean };

export interface DeleteQuery {
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export type PatchType = 'json' | 'merge' | 'strategic';

export interface CallOptions {
  readonly subresource?: string;
  readonly signal?: AbortSignal;
}

/** Every method rejects with StatusError. Objects handed out are frozen and may be shared: never change them. */
export interface KubeClient {
  readonly get: <T extends KubeObject>(resource: ResourceRef<T>, at: ObjectRef, options?: CallOptions) => Promise<Stored<T>>;
  readonly list: <T extends KubeObject>(resource: ResourceRef<T>, query?: ListQuery, options?: CallOptions) => Promise<KubeList<Stored<T>>>;
  /** Ends when the server ends it or the signal aborts; an ERROR event is thrown as StatusError. */
  readonly watch: <T extends KubeObject>(resource: ResourceRef<T>, query: WatchQuery, signal: AbortSignal) => AsyncIterable<WatchEvent<T>>;
  readonly create: <T extends KubeObject>(resource: ResourceRef<T>, object: T, options?: CallOptions) => Promise<Stored<T>>;
  readonly update: <T extends KubeObject>(resource: ResourceRef<T>, object: T, options?: CallOptions) => Promise<Stored<T>>;
  readonly patch: <T extends KubeObject>(
    resource: ResourceRef<T>,
    at: ObjectRef,
    type: PatchType,
    patch: unknown,
    options?: CallOptions,
  ) => Promise<Stored<T>>;
  /** Server-side apply. */
  readonly apply: <T extends KubeObject>(
    resource: ResourceRef<T>,
    object: T,
    manager: string,
    options?: CallOptions & { readonly force?: boolean },
  ) => Promise<Stored<T>>;
  readonly delete: <T extends KubeObject>(
    resource: ResourceRef<T>,
    at: ObjectRef,
    query?: DeleteQuery,
    options?: CallOptions,
  ) => Promise<void>;
  /** Deletes what the query selects; one request, each object as if deleted by itself. */
  readonly deleteCollection: (resource: ResourceRef, query: ListQuery, how?: DeleteQuery, options?: CallOptions) => Promise<void>;
  /** Anything else: discovery, non-resource paths, representations of a resource that has no ResourceRef. */
  readonly raw: (request: TransportRequest) => Promise<unknown>;
  /** POST to a subresource with a body of another kind (pods/binding, serviceaccounts/token, pods/eviction). */
  readonly createSubresource: <B extends KubeObject>(
    resource: ResourceRef,
    at: ObjectRef,
    subresource: string,
    body: B,
    options?: CallOptions,
  ) => Promise<B>;
}

/**
 * How a KubeClient's requests reach the API server. `path` holds path and query. The in-process form hands over frozen
 * objects of the watch cache as they are; the HTTPS form writes and reads JSON.
 */
export interface KubeTransport {
  readonly call: (request: TransportRequest) => Promise<unknown>;
  /** Raw watch frames: {type, object}. */
  readonly watch: (path: string, signal: AbortSignal) => AsyncIterable<{ readonly type: string; readonly object: unknown }>;
}

export interface TransportRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly contentType?: string;
  /** Default: application/json. */
  readonly accept?: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}
