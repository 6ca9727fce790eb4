/** Which resources are served now. Custom resource definitions and aggregation change it while the server runs. */
import { allVerbs, type KindDef } from '#kube/kind.ts';
import { apiVersionOf, type ResourceRef } from '#kube/refs.ts';
import type { Subresource } from './subresources/subresource.ts';

/** A served resource with all that requests for it need to know. */
export interface Resource {
  readonly def: KindDef;
  readonly apiVersion: string;
  readonly verbs: ReadonlySet<string>;
  readonly subresources: ReadonlyMap<string, Subresource>;
  /** True for kinds that a CustomResourceDefinition made. */
  readonly custom: boolean;
}

export interface Registry {
  readonly resource: (group: string, version: string, plural: string) => Resource | undefined;
  readonly byKind: (group: string, version: string, kind: string) => Resource | undefined;
  /** A resource of that group and plural in whichever version is preferred. */
  readonly anyVersion: (group: string, plural: string) => Resource | undefined;
  readonly hasGroupVersion: (group: string, version: string) => boolean;
  /** Group names, core ('') first, then in the order of registration. */
  readonly groups: () => readonly string[];
  /** Versions of a group, most stable first. */
  readonly versions: (group: string) => readonly string[];
  readonly resourcesOf: (group: string, version: string) => readonly Resource[];
  readonly all: () => readonly Resource[];
  readonly add: (def: KindDef, custom?: boolean) => void;
  readonly remove: (ref: Pick<ResourceRef, 'group' | 'version' | 'plural'>) => void;
  /** Grows with every change: what discovery and OpenAPI caches compare. */
  readonly generation: () => number;
  readonly onChange: (listener: () => void) => void;
}

const idOf = (group: string, version: string, name: string): string => `${group}/${version}/${name}`;

/** Upstream's order (k8s.io/apimachinery pkg/version): GA before beta before alpha, higher numbers first. */
export function compareVersions(a: string, b: string): number {
  const parse = (v: string): readonly [number, number, number] => {
    const m = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(v);
    if (m === null) return [-1, 0, 0];
    const stage = m[2] === undefined ? 2 : m[2] === 'beta' ? 1 : 0;
    return [stage, Number(m[1]), Number(m[3] ?? 0)];
  };
  const x = parse(a);
  const y = parse(b);
  return y[0] - x[0] || y[1] - x[1] || y[2] - x[2] || (a < b ? -1 : a > b ? 1 : 0);
}

export function createRegistry(kinds: readonly KindDef[], subresourcesFor: (def: KindDef) => ReadonlyMap<string, Subresource>): Registry {
  const resources = new Map<string, Resource>();
  const kindIndex = new Map<string, Resource>();
  const groups = new Map<string, Map<string, Resource[]>>();
  /** Versions of a group in order, until a kind is added or removed. */
  const sorted = new Map<string, readonly string[]>();
  const listeners: (() => void)[] = [];
  let generation = 0;

  const changed = (): void => {
    generation++;
    for (const listener of listeners) listener();
  };

  const insert = (def: KindDef, custom: boolean): void => {
    const { group, version, plural, kind } = def.ref;
    const resource: Resource = {
      def,
      apiVersion: apiVersionOf(def.ref),
      verbs: new Set(def.verbs ?? allVerbs),
      subresources: subresourcesFor(def),
      custom,
    };
    resources.set(idOf(group, version, plural), resource);
    kindIndex.set(idOf(group, version, kind), resource);
    sorted.delete(group);
    const versions = groups.get(group) ?? new Map<string, Resource[]>();
    groups.set(group, versions);
    const list = (versions.get(version) ?? []).filter((r) => r.def.ref.plural !== plural);
    list.push(resource);
    list.sort((a, b) => (a.def.ref.plural < b.def.ref.plural ? -1 : 1));
    versions.set(version, list);
  };

  for (const def of kinds) insert(def, false);

  // Asked for with every write; sorting takes longer than most of a write.
  const versionsOf = (group: string): readonly string[] => {
    const known = sorted.get(group);
    if (known !== undefined) return known;
    const versions = [...(groups.get(group)?.keys() ?? [])].sort(compareVersions);
    if (versions.length > 0) sorted.set(group, versions);
    return versions;
  };

  return {
    resource: (group, version, plural) => resources.get(idOf(group, version, plural)),
    byKind: (group, version, kind) => kindIndex.get(idOf(group, version, kind)),
    anyVersion: (group, plural) => {
      for (const version of versionsOf(group)) {
        const found = resources.get(idOf(group, version, plural));
        if (found !== undefined) return found;
      }
      return undefined;
    },
    hasGroupVersion: (group, version) => groups.get(group)?.has(version) === true,
    groups: () => [...groups.keys()].sort((a, b) => (a === '' ? -1 : b === '' ? 1 : 0)),
    versions: versionsOf,
    resourcesOf: (group, version) => groups.get(group)?.get(version) ?? [],
    all: () => [...resources.values()],
    add: (def, custom = true) => {
      insert(def, custom);
      changed();
    },
    remove: (ref) => {
      const found = resources.get(idOf(ref.group, ref.version, ref.plural));
      if (found === undefined) return;
      resources.delete(idOf(ref.group, ref.version, ref.plural));
      if (kindIndex.get(idOf(ref.group, ref.version, found.def.ref.kind)) === found)
        kindIndex.delete(idOf(ref.group, ref.version, found.def.ref.kind));
      sorted.delete(ref.group);
      const versions = groups.get(ref.group);
      const rest = versions?.get(ref.version)?.filter((r) => r !== found) ?? [];
      if (rest.length > 0) versions?.set(ref.version, rest);
      else {
        versions?.delete(ref.version);
        if (versions?.size === 0) groups.delete(ref.group);
      }
      changed();
    },
    generation: () => generation,
    onChange: (listener) => {
      listeners.push(listener);
    },
  };
}
