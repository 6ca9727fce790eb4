/** Which resources the API server serves now, custom ones included: one entry for each, in its group's preferred version. */
import type { KubeClient } from '#client/contract.ts';
import type { APIGroupList, APIResourceList } from '#kube/generated/meta-v1.ts';
import { type ResourceRef, splitApiVersion } from '#kube/refs.ts';
import { textOf } from './pod-control.ts';

export interface DiscoveredResource {
  readonly ref: ResourceRef;
  readonly verbs: readonly string[];
}

export interface Discovery {
  readonly resources: readonly DiscoveredResource[];
  /** Group versions that could not be asked (an aggregated API that is down), with the reason. */
  readonly failures: ReadonlyMap<string, string>;
}

export async function discover(client: Pick<KubeClient, 'raw'>, signal: AbortSignal): Promise<Discovery> {
  const get = async (path: string): Promise<unknown> => client.raw({ method: 'GET', path, signal });
  const groups = (await get('/apis')) as APIGroupList;
  const versions = groups.groups.map((g) => ({ preferred: g.preferredVersion?.groupVersion, all: g.versions.map((v) => v.groupVersion) }));
  const failures = new Map<string, string>();
  const found = new Map<string, DiscoveredResource>();
  const read = async (groupVersion: string, path: string): Promise<void> => {
    try {
      const list = (await get(path)) as APIResourceList;
      for (const one of list.resources) {
        if (one.name.includes('/')) continue;
        const { group, version } = splitApiVersion(groupVersion);
        const key = `${group}/${one.name}`;
        if (found.has(key)) continue;
        const names = { kind: one.kind, plural: one.name, singular: one.singularName, namespaced: one.namespaced };
        found.set(key, { ref: { group, version, ...names, shortNames: [], categories: [] }, verbs: one.verbs });
      }
    } catch (error) {
      signal.throwIfAborted();
      failures.set(groupVersion, textOf(error));
    }
  };
  await read('v1', '/api/v1');
  // The preferred versions first: a resource that also exists in others is taken from there.
  for (const { preferred } of versions) if (preferred !== undefined) await read(preferred, `/apis/${preferred}`);
  for (const { preferred, all } of versions) for (const gv of all) if (gv !== preferred) await read(gv, `/apis/${gv}`);
  return { resources: [...found.values()], failures };
}
