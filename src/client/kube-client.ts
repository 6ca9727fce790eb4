import type { KubeList, KubeObject, Stored } from '#kube/object.ts';
import { apiVersionOf, type ResourceRef } from '#kube/refs.ts';
import { statusErrorFrom } from '#kube/status-answer.ts';
import type { CallOptions, DeleteQuery, KubeClient, KubeTransport, ListQuery, PatchType, WatchEvent } from './contract.ts';
import { type QueryValue, resourcePath } from './paths.ts';

const patchTypes: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
};

/** Upstream marks the bookmark that ends the initial events of a watch-list with this annotation. */
const initialEventsEnd = 'k8s.io/initial-events-end';

const listParameters = (q: ListQuery): Record<string, QueryValue> => ({
  labelSelector: q.labelSelector,
  fieldSelector: q.fieldSelector,
  limit: q.limit,
  continue: q.continue,
  resourceVersion: q.resourceVersion,
});

function deleteOptions(query: DeleteQuery | undefined): { readonly body?: unknown } {
  if (query === undefined) return {};
  return { body: { kind: 'DeleteOptions', apiVersion: 'v1', ...query } };
}

const signalOf = (options: CallOptions | undefined) => (options?.signal === undefined ? {} : { signal: options.signal });

/** Servers may leave apiVersion and kind out of list items; callers rely on them. */
function completeItems<T extends KubeObject>(resource: ResourceRef<T>, list: KubeList<Stored<T>>): KubeList<Stored<T>> {
  if (list.items.every((item) => item.kind !== undefined && item.apiVersion !== undefined)) return list;
  const kind = { apiVersion: apiVersionOf(resource), kind: resource.kind };
  return { ...list, items: list.items.map((item) => Object.freeze({ ...kind, ...item }) as Stored<T>) };
}

/** One KubeClient over any transport. Responses are trusted to be of the resource asked for; they are not validated again. */
export function createKubeClient(transport: KubeTransport): KubeClient {
  const pathOf = (resource: ResourceRef, object: KubeObject, named: boolean, options: CallOptions | undefined, query = {}) =>
    resourcePath(
      resource,
      { namespace: object.metadata.namespace, name: named ? object.metadata.name : undefined, subresource: options?.subresource },
      query,
    );
  const withType = <T extends KubeObject>(resource: ResourceRef<T>, object: T): T =>
    object.kind === undefined || object.apiVersion === undefined
      ? { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind }
      : object;

  return {
    get: async <T extends KubeObject>(resource: ResourceRef<T>, at: { namespace?: string; name: string }, options?: CallOptions) =>
      (await transport.call({
        method: 'GET',
        path: resourcePath(resource, { ...at, subresource: options?.subresource }),
        ...signalOf(options),
      })) as Stored<T>,

    list: async <T extends KubeObject>(resource: ResourceRef<T>, query: ListQuery = {}, options?: CallOptions) => {
      const path = resourcePath(resource, { namespace: query.namespace }, listParameters(query));
      return completeItems(resource, (await transport.call({ method: 'GET', path, ...signalOf(options) })) as KubeList<Stored<T>>);
    },

    watch: async function* watch<T extends KubeObject>(resource: ResourceRef<T>, query: ListQuery & WatchFlags, signal: AbortSignal) {
      const path = resourcePath(
        resource,
        { namespace: query.namespace },
        {
          ...listParameters(query),
          watch: true,
          allowWatchBookmarks: query.allowWatchBookmarks,
          sendInitialEvents: query.sendInitialEvents,
          resourceVersionMatch: query.sendInitialEvents === undefined ? undefined : 'NotOlderThan',
        },
      );
      for await (const frame of transport.watch(path, signal)) yield decodeFrame<T>(frame);
    },

    create: async <T extends KubeObject>(resource: ResourceRef<T>, object: T, options?: CallOptions) =>
      (await transport.call({
        method: 'POST',
        path: pathOf(resource, object, false, options),
        contentType: 'application/json',
        body: withType(resource, object),
        ...signalOf(options),
      })) as Stored<T>,

    update: async <T extends KubeObject>(resource: ResourceRef<T>, object: T, options?: CallOptions) =>
      (await transport.call({
        method: 'PUT',
        path: pathOf(resource, object, true, options),
        contentType: 'application/json',
        body: withType(resource, object),
        ...signalOf(options),
      })) as Stored<T>,

    patch: async <T extends KubeObject>(
      resource: ResourceRef<T>,
      at: { namespace?: string; name: string },
      type: PatchType,
      patch: unknown,
      options?: CallOptions,
    ) =>
      (await transport.call({
        method: 'PATCH',
        path: resourcePath(resource, { ...at, subresource: options?.subresource }),
        contentType: patchTypes[type],
        body: patch,
        ...signalOf(options),
      })) as Stored<T>,

    apply: async <T extends KubeObject>(
      resource: ResourceRef<T>,
      object: T,
      manager: string,
      options?: CallOptions & { readonly force?: boolean },
    ) =>
      (await transport.call({
        method: 'PATCH',
        path: pathOf(resource, object, true, options, { fieldManager: manager, force: options?.force }),
        contentType: 'application/apply-patch+yaml',
        body: withType(resource, object),
        ...signalOf(options),
      })) as Stored<T>,

    delete: async (resource, at, query, options) => {
      await transport.call({
        method: 'DELETE',
        path: resourcePath(resource, { ...at, subresource: options?.subresource }),
        contentType: 'application/json',
        ...deleteOptions(query),
        ...signalOf(options),
      });
    },

    deleteCollection: async (resource, query, how, options) => {
      await transport.call({
        method: 'DELETE',
        path: resourcePath(resource, { namespace: query.namespace }, listParameters(query)),
        contentType: 'application/json',
        ...deleteOptions(how),
        ...signalOf(options),
      });
    },

    raw: (request) => transport.call(request),

    createSubresource: async <B extends KubeObject>(
      resource: ResourceRef,
      at: { namespace?: string; name: string },
      subresource: string,
      body: B,
      options?: CallOptions,
    ) =>
      (await transport.call({
        method: 'POST',
        path: resourcePath(resource, { ...at, subresource }),
        contentType: 'application/json',
        body,
        ...signalOf(options),
      })) as B,
  };
}

interface WatchFlags {
  readonly allowWatchBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
}

function decodeFrame<T extends KubeObject>(frame: { readonly type: string; readonly object: unknown }): WatchEvent<T> {
  switch (frame.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: frame.type, object: frame.object as Stored<T> };
    case 'BOOKMARK': {
      const { metadata } = frame.object as KubeObject;
      return {
        type: 'BOOKMARK',
        resourceVersion: metadata.resourceVersion ?? '',
        initialEventsEnd: metadata.annotations?.[initialEventsEnd] === 'true',
      };
    }
    default:
      throw statusErrorFrom(frame.object);
  }
}
