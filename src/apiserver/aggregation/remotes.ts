/** The servers behind APIServices: requests passed on to them, and what they serve. */
import { StatusError } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { ApiRequest, ApiResponse, ObjectReader } from '../contract.ts';
import type { RemoteDocuments, RemoteV3 } from '../discovery/openapi.ts';
import { isLongRunning } from '../flowcontrol/classify.ts';
import type { RequestInfo } from '../request-info.ts';
import type { ApiServices } from './api-services.ts';
import { forward } from './forward.ts';
import type { RemoteOpenApi } from './remote-openapi.ts';
import { available, hostFor, type Remote, type RemoteTable } from './remote-table.ts';
import { groupVersionOf } from './route.ts';
import { connectTo, type RemoteAccess } from './target.ts';

export interface DelegateDeps {
  readonly apiServices: ApiServices;
  readonly table: RemoteTable;
  readonly objects: Pick<ObjectReader, 'get'>;
  readonly access: RemoteAccess;
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
}

/** The answer of the server that serves the path; undefined: no other server does. Rejects with StatusError ServiceUnavailable. */
export type Delegate = (request: ApiRequest, info: RequestInfo) => Promise<ApiResponse> | undefined;

export function createDelegate(deps: DelegateDeps): Delegate {
  const { apiServices, table } = deps;
  return (request, info) => {
    if (!apiServices.anyRemote()) return undefined;
    const groupVersion = groupVersionOf(info.segments);
    const object = groupVersion === undefined ? undefined : apiServices.remote(groupVersion.group, groupVersion.version);
    if (object === undefined) return undefined;
    const remote = table.get(object.metadata.name);
    if (remote === undefined || !available(remote)) return Promise.reject(new StatusError('ServiceUnavailable', 'service unavailable'));
    return passTo(deps, remote, request, isLongRunning(info));
  };
}

function passTo({ objects, access, clock, requestTimeoutMs }: DelegateDeps, remote: Remote, request: ApiRequest, longRunning: boolean) {
  const way = {
    host: hostFor(objects, remote),
    request: remote.connections.request,
    connect: (signal: AbortSignal) => connectTo(remote.target, access, clock, signal),
  };
  return forward(request, way, { clock, timeoutMs: requestTimeoutMs, longRunning });
}

/** The OpenAPI documents of other servers, for as long as those are available. */
export function createRemoteDocuments(deps: DelegateDeps): RemoteDocuments {
  const described = (): { readonly remote: Remote; readonly openApi: RemoteOpenApi }[] =>
    [...deps.table.all()].flatMap((remote) => {
      const { openApi } = remote;
      return openApi === undefined || !available(remote) ? [] : [{ remote, openApi }];
    });
  return {
    parts: () => described().flatMap(({ openApi }) => (openApi.v2 === undefined ? [] : [openApi.v2])),
    v3: () => described().flatMap(({ remote, openApi }) => v3Document(deps, remote, openApi)),
  };
}

function v3Document(deps: DelegateDeps, remote: Remote, { v3Hash, converted }: RemoteOpenApi): RemoteV3[] {
  const { group, version } = remote.groupVersion;
  const path = group === '' ? `api/${version}` : `apis/${group}/${version}`;
  if (v3Hash !== undefined) return [{ path, hash: v3Hash, answer: (request) => passTo(deps, remote, request, false) }];
  return converted === undefined ? [] : [{ path, document: converted }];
}

/** The versions part of an APIGroupDiscovery. What could not be read anew is shown as it was, and as stale. */
export function remoteVersion(remote: Remote): unknown {
  const { group, version } = remote.groupVersion;
  const found = remote.discovered?.versions.get(`${group}/${version}`);
  return { version, resources: found?.resources ?? [], freshness: remote.fresh ? 'Current' : 'Stale' };
}
