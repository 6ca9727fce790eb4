/** Where objects lie in the store. */
import type { KindDef } from '#kube/kind.ts';

/** "/registry/apps/deployments/": the prefix of all objects of a kind, whichever version asks. */
export function kindPrefix(def: KindDef): string {
  const group = def.storage?.group ?? def.ref.group;
  return `/registry/${group === '' ? 'core' : group}/${def.storage?.plural ?? def.ref.plural}/`;
}

/** The prefix of a list or watch; namespace '' means all. */
export function listPrefix(def: KindDef, namespace: string): string {
  return def.ref.namespaced && namespace !== '' ? `${kindPrefix(def)}${namespace}/` : kindPrefix(def);
}

export function objectKeyOf(def: KindDef, namespace: string, name: string): string {
  return def.ref.namespaced ? `${kindPrefix(def)}${namespace}/${name}` : `${kindPrefix(def)}${name}`;
}
