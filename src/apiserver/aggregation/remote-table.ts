/** The APIServices that point to other servers, each with its connections and what is known of its server. */
import { services } from '#kube/refs.ts';
import type { Clock } from '#platform/clock.ts';
import type { ObjectReader } from '../contract.ts';
import { type ApiServices, isAvailable, type StoredApiService } from './api-services.ts';
import { hostOf } from './availability.ts';
import { type FetchDocument, fetchDocument } from './documents.ts';
import type { Discovered } from './remote-discovery.ts';
import type { RemoteOpenApi } from './remote-openapi.ts';
import type { GroupVersion } from './route.ts';
import { type Connections, createConnections, type RemoteAccess, type Target, targetOf } from './target.ts';

export interface Remote {
  readonly name: string;
  readonly object: StoredApiService;
  readonly groupVersion: GroupVersion;
  readonly target: Target;
  readonly connections: Connections;
  /** As upstream's check of availability: it does not matter to it who answers. */
  readonly probes: Connections;
  readonly discovered: Discovered | undefined;
  /** On the clock that never jumps. */
  readonly discoveredAt: number;
  /** `discovered` is what the server said when it was asked last. */
  readonly fresh: boolean;
  readonly openApi: RemoteOpenApi | undefined;
  readonly openApiAt: number;
  readonly failures: number;
}

/** What looking at a server finds out. */
type Findings = Pick<Remote, 'discovered' | 'discoveredAt' | 'fresh' | 'openApi' | 'openApiAt' | 'failures'>;

export type RemoteListener = (name: string, now: Remote | undefined, before: Remote | undefined) => void;

export interface RemoteTable {
  readonly get: (name: string) => Remote | undefined;
  readonly all: () => Iterable<Remote>;
  readonly empty: () => boolean;
  /** Notes what was found out, unless the remote has gone or points elsewhere by now. */
  readonly note: (remote: Remote, found: Partial<Findings>) => void;
  readonly onChange: (listener: RemoteListener) => void;
}

export interface TableDeps {
  readonly apiServices: ApiServices;
  readonly objects: Pick<ObjectReader, 'get' | 'list'>;
  readonly access: RemoteAccess;
  readonly clock: Clock;
}

export const closeIdle = ({ connections, probes }: Remote): void => {
  connections.close();
  probes.close();
};

export const available = (remote: Remote): boolean => isAvailable(remote.object);

export const hostFor = (objects: Pick<ObjectReader, 'get'>, { target }: Remote): string =>
  hostOf(objects.get(services, target.namespace, target.name), target);

/** Reads documents over a remote's connections. */
export const fetcherOver =
  (deps: Pick<TableDeps, 'objects' | 'clock'>, remote: Remote, connections: Connections): FetchDocument =>
  (request, signal) =>
    fetchDocument(connections.request, hostFor(deps.objects, remote), request, deps.clock, signal);

const sameTarget = (a: Target, b: Target): boolean => JSON.stringify(a) === JSON.stringify(b);

function remoteOf(object: StoredApiService, target: Target, { access, clock }: TableDeps): Remote {
  const { group = '', version = '' } = object.spec ?? {};
  return {
    name: object.metadata.name,
    object,
    groupVersion: { group, version },
    target,
    connections: createConnections(target, access, clock),
    probes: createConnections({ ...target, insecure: true }, access, clock),
    discovered: undefined,
    discoveredAt: Number.NEGATIVE_INFINITY,
    fresh: false,
    openApi: undefined,
    openApiAt: Number.NEGATIVE_INFINITY,
    failures: 0,
  };
}

export function createRemoteTable(deps: TableDeps): RemoteTable {
  const remotes = new Map<string, Remote>();
  const listeners: RemoteListener[] = [];
  const set = (name: string, now: Remote | undefined): void => {
    const before = remotes.get(name);
    if (before === undefined && now === undefined) return;
    if (now === undefined) remotes.delete(name);
    else remotes.set(name, now);
    if (before !== undefined && before.connections !== now?.connections) closeIdle(before);
    for (const listener of listeners) listener(name, now, before);
  };
  const put = (name: string, object: StoredApiService | undefined): void => {
    const target = object === undefined ? undefined : targetOf(object);
    const known = remotes.get(name);
    if (object === undefined || target === undefined) set(name, undefined);
    else if (known !== undefined && sameTarget(known.target, target)) set(name, { ...known, object });
    else set(name, remoteOf(object, target, deps));
  };
  for (const object of deps.apiServices.all()) put(object.metadata.name, object);
  deps.apiServices.onChange(put);
  return {
    get: (name) => remotes.get(name),
    all: () => remotes.values(),
    empty: () => remotes.size === 0,
    note: (remote, found) => {
      const now = remotes.get(remote.name);
      if (now?.connections === remote.connections) set(remote.name, { ...now, ...found });
    },
    onChange: (listener) => {
      listeners.push(listener);
    },
  };
}
