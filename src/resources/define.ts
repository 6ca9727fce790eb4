import type { KindDef } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import type { Schema } from '#kube/schema.ts';
import { kindSchema } from '#kube/schema-registry.ts';

/** What a built-in kind adds to its names and its generated schema. */
export type KindOptions<T extends KubeObject> = Omit<KindDef<T>, 'ref' | 'schema'>;

/** A built-in kind: its schema is the generated one. Functions in `options` see the kind's own type. */
export function defineKind<T extends KubeObject>(ref: ResourceRef<T>, options: KindOptions<T> = {}): KindDef {
  const kind = {
    ref,
    get schema(): Schema {
      const schema = kindSchema(ref.group, ref.version, ref.kind);
      if (schema === undefined) throw new Error(`no schema was generated for ${ref.kind} in ${ref.group}/${ref.version}`);
      return schema;
    },
    ...options,
  };
  // KindDef's functions take T; whoever calls them passes objects decoded by this very schema.
  return kind as unknown as KindDef;
}
