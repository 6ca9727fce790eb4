/** Which resources the API server serves now, custom and aggregated ones included: one entry for each, in its group's preferred version. */
import type { KubeClient } from '#client/contract.ts';
import type { ResourceRef } from '#kube/refs.ts';

export interface DiscoveredResource {
  readonly ref: ResourceRef;
  readonly verbs: readonly string[];
}

export interface Discovery {
  readonly resources: readonly DiscoveredResource[];
  /** Group versions whose server (an aggregated one) could not be asked, with the reason. Their resources are left out. */
  readonly failures: ReadonlyMap<string, string>;
}

/** apidiscovery.k8s.io/v2, as the API server writes it. */
interface GroupDiscoveryList {
  readonly items: readonly {
    readonly metadata: { readonly name?: string };
    readonly versions: readonly {
      readonly version: string;
      readonly freshness?: string;
      readonly resources?: readonly {
        readonly resource: string;
        readonly responseKind?: { readonly kind: string };
        readonly scope: string;
        readonly singularResource: string;
        readonly verbs: readonly string[];
      }[];
    }[];
  }[];
}

const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

export async function discover(client: Pick<KubeClient, 'raw'>, signal: AbortSignal): Promise<Discovery> {
  const read = async (path: string): Promise<GroupDiscoveryList> =>
    (await client.raw({ method: 'GET', path, accept, signal })) as GroupDiscoveryList;
  const groups = [...(await read('/api')).items, ...(await read('/apis')).items];
  const failures = new Map<string, string>();
  const found = new Map<string, DiscoveredResource>();
  // The versions come with the preferred one first: a resource that also exists in others is taken from there.
  for (const { metadata, versions } of groups) {
    const group = metadata.name ?? '';
    for (const { version, freshness, resources = [] } of versions) {
      const groupVersion = group === '' ? version : `${group}/${version}`;
      // client-go discovery.StaleGroupVersionError.
      if (freshness === 'Stale') failures.set(groupVersion, `stale GroupVersion discovery: ${groupVersion}`);
      else
        for (const one of resources) {
          const key = `${group}/${one.resource}`;
          if (found.has(key) || one.responseKind === undefined) continue;
          const names = { kind: one.responseKind.kind, plural: one.resource, singular: one.singularResource };
          const ref = { group, version, ...names, namespaced: one.scope === 'Namespaced', shortNames: [], categories: [] };
          found.set(key, { ref, verbs: one.verbs });
        }
    }
  }
  return { resources: [...found.values()], failures };
}
