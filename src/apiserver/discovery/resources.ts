/** What discovery says of the resources of one group and version. */
import { createHash } from 'node:crypto';
import type { Registry, Resource } from '../registry.ts';
import type { Subresource } from '../subresources/subresource.ts';

/** Subresources of a resource, by name. */
export const subresourcesOf = (resource: Resource): readonly Subresource[] =>
  [...resource.subresources.values()].sort((a, b) => (a.name < b.name ? -1 : 1));

/** Base64 of the first eight bytes of a hash over the stored type, as upstream writes it. */
function storageVersionHash(resource: Resource): string {
  const { ref, storage } = resource.def;
  const text = `${storage?.group ?? ref.group}/${storage?.version ?? ref.version}/${ref.kind}`;
  return createHash('sha256').update(text).digest().subarray(0, 8).toString('base64');
}

const sorted = (verbs: Iterable<string>): string[] => [...verbs].sort();

/** APIResourceList. */
export function resourceList(registry: Registry, group: string, version: string): unknown {
  const resources = registry.resourcesOf(group, version).flatMap((resource) => {
    const { ref, ephemeral } = resource.def;
    const own = {
      name: ref.plural,
      singularName: ref.singular,
      namespaced: ref.namespaced,
      kind: ref.kind,
      verbs: sorted(resource.verbs),
      ...(ref.shortNames.length === 0 ? {} : { shortNames: ref.shortNames }),
      ...(ref.categories.length === 0 ? {} : { categories: ref.categories }),
      ...(ephemeral === true ? {} : { storageVersionHash: storageVersionHash(resource) }),
    };
    const sub = subresourcesOf(resource).map((s) => ({
      name: `${ref.plural}/${s.name}`,
      singularName: '',
      namespaced: ref.namespaced,
      ...(s.kind.group === group && s.kind.version === version ? {} : { group: s.kind.group, version: s.kind.version }),
      kind: s.kind.kind,
      verbs: sorted(s.verbs),
    }));
    return [own, ...sub];
  });
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: group === '' ? version : `${group}/${version}`, resources };
}

/** The versions part of an APIGroupDiscovery. */
export function discoveryVersion(registry: Registry, group: string, version: string): unknown {
  const resources = registry.resourcesOf(group, version).map((resource) => {
    const { ref } = resource.def;
    const sub = subresourcesOf(resource).map((s) => ({ subresource: s.name, responseKind: s.kind, verbs: sorted(s.verbs) }));
    return {
      resource: ref.plural,
      responseKind: { group: ref.group, version: ref.version, kind: ref.kind },
      scope: ref.namespaced ? 'Namespaced' : 'Cluster',
      singularResource: ref.singular,
      verbs: sorted(resource.verbs),
      ...(ref.shortNames.length === 0 ? {} : { shortNames: ref.shortNames }),
      ...(ref.categories.length === 0 ? {} : { categories: ref.categories }),
      ...(sub.length === 0 ? {} : { subresources: sub }),
    };
  });
  return { version, resources, freshness: 'Current' };
}
