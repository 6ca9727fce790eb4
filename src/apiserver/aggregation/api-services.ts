/** The APIServices there are, as an index that follows the store. */
import type { APIService, APIServiceCondition } from '#kube/generated/apiregistration-v1.ts';
import type { Stored } from '#kube/object.ts';
import type { CachedEntry, WatchCache } from '#store/contract.ts';
import { follow } from '../follow.ts';
import { registrationGroup } from './priorities.ts';

export type StoredApiService = Stored<APIService>;

export interface ApiServices {
  readonly get: (name: string) => StoredApiService | undefined;
  readonly all: () => Iterable<StoredApiService>;
  /** The APIService through which a group version is served by another server. */
  readonly remote: (group: string, version: string) => StoredApiService | undefined;
  readonly anyRemote: () => boolean;
  /** Called after every change, with what was there before. */
  readonly onChange: (listener: (name: string, now: StoredApiService | undefined, before: StoredApiService | undefined) => void) => void;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

const prefix = '/registry/apiregistration.k8s.io/apiservices/';

export const availableCondition = (object: APIService): APIServiceCondition | undefined =>
  object.status?.conditions?.find((c) => c.type === 'Available');

export const isAvailable = (object: APIService): boolean => availableCondition(object)?.status === 'True';

/** Its own group is always served here, whatever somebody registers. */
const isRemote = (object: StoredApiService): boolean => object.spec?.service !== undefined && object.spec.group !== registrationGroup;

export function followApiServices(cache: WatchCache): ApiServices {
  const byName = new Map<string, StoredApiService>();
  const remotes = new Map<string, StoredApiService>();
  const listeners: Parameters<ApiServices['onChange']>[0][] = [];

  const put = (name: string, now: StoredApiService | undefined): void => {
    const before = byName.get(name);
    if (now === undefined) byName.delete(name);
    else byName.set(name, now);
    if (now !== undefined && isRemote(now)) remotes.set(name, now);
    else remotes.delete(name);
    for (const listener of listeners) listener(name, now, before);
  };
  const nameOf = (entry: CachedEntry): string => entry.key.slice(prefix.length);
  const objectOf = (entry: CachedEntry): StoredApiService => entry.object() as StoredApiService;
  const feed = follow(cache, prefix, {
    reset: (entries) => {
      const names = new Set(entries.map(nameOf));
      for (const name of [...byName.keys()]) if (!names.has(name)) put(name, undefined);
      for (const entry of entries) put(nameOf(entry), objectOf(entry));
    },
    apply: (event) => put(nameOf(event.entry), event.type === 'delete' ? undefined : objectOf(event.entry)),
  });
  return {
    get: (name) => byName.get(name),
    all: () => byName.values(),
    remote: (group, version) => remotes.get(`${version}.${group}`),
    anyRemote: () => remotes.size > 0,
    onChange: (listener) => {
      listeners.push(listener);
    },
    run: feed.run,
  };
}
