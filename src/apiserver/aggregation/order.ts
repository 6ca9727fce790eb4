/** Which groups and versions there are, local and remote, in the order of discovery. */
import { compareVersions, type Registry } from '../registry.ts';
import type { ApiServices } from './api-services.ts';
import { apiServiceName, builtinPriority, customPriority, type Priority, registrationGroup, registrationPriority } from './priorities.ts';

export interface ServedVersion {
  readonly group: string;
  readonly version: string;
  /** Name of the APIService of the server that serves it; undefined: this one. */
  readonly remote: string | undefined;
}

export interface ServedGroup {
  readonly name: string;
  /** The preferred one first. */
  readonly versions: readonly ServedVersion[];
}

interface Ranked extends ServedVersion {
  readonly name: string;
  readonly priority: Priority;
}

function rankedVersions(registry: Registry, apiServices: ApiServices): Ranked[] {
  const ranked = new Map<string, Ranked>();
  for (const group of registry.groups())
    for (const version of registry.versions(group)) {
      const name = apiServiceName(group, version);
      const priority = group === registrationGroup ? registrationPriority : (builtinPriority(group, version) ?? customPriority);
      ranked.set(name, { name, group, version, remote: undefined, priority });
    }
  for (const object of apiServices.all()) {
    const { name } = object.metadata;
    const { group = '', version = '', groupPriorityMinimum, versionPriority } = object.spec ?? {};
    const known = ranked.get(name);
    const remote = apiServices.remote(group, version) === object ? name : undefined;
    // Registered as local, but nothing here serves it (any more).
    if ((known === undefined && remote === undefined) || group === registrationGroup) continue;
    ranked.set(name, { name, group, version, remote, priority: { group: groupPriorityMinimum ?? 0, version: versionPriority ?? 0 } });
  }
  return [...ranked.values()];
}

const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** kube-aggregator pkg/apis/apiregistration/v1/helper SortedByGroupAndVersion: a group stands where its most important version does. */
export function servedGroups(registry: Registry, apiServices: ApiServices): readonly ServedGroup[] {
  const groups = new Map<string, Ranked[]>();
  const ranked = rankedVersions(registry, apiServices).sort((a, b) => b.priority.group - a.priority.group || byName(a.name, b.name));
  for (const one of ranked) {
    const versions = groups.get(one.group);
    if (versions === undefined) groups.set(one.group, [one]);
    else versions.push(one);
  }
  return [...groups].map(([name, versions]) => ({
    name,
    versions: versions.sort((a, b) => b.priority.version - a.priority.version || compareVersions(a.version, b.version)),
  }));
}
