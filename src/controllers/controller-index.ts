import type { Informer } from '#client/informer.ts';
import { controllerOf, type KubeObject, type Stored } from '#kube/object.ts';

const name = 'controller';
const orphansOf = (namespace: string): string => `orphans/${namespace}`;

/** Indexes by the uid of the controller, and what has none by its namespace, so that no sync walks a whole namespace. */
export function indexByController<T extends KubeObject>(informer: Informer<T>): void {
  informer.addIndex(name, (object) => [controllerOf(object)?.uid ?? orphansOf(object.metadata.namespace ?? '')]);
}

/** What an object controls. */
export const controlledBy = <T extends KubeObject>(informer: Informer<T>, uid: string): readonly Stored<T>[] => informer.byIndex(name, uid);

/** What an object controls or might adopt. */
export function candidatesFor<T extends KubeObject>(informer: Informer<T>, owner: Stored): readonly Stored<T>[] {
  const orphans = informer.byIndex(name, orphansOf(owner.metadata.namespace ?? ''));
  const own = controlledBy(informer, owner.metadata.uid);
  return orphans.length === 0 ? own : [...own, ...orphans];
}
