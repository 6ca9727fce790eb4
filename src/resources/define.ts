import { compile } from '#kube/decode-node.ts';
import type { Draft, KindDef, StrategyContext } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import type { Schema } from '#kube/schema.ts';
import { kindSchema } from '#kube/schema-registry.ts';

/** A decoded object that may be changed in place. */
export type Mutable<T> = T extends readonly (infer U)[] ? Mutable<U>[] : T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;

/** What a built-in kind adds to its names and its generated schema; functions see the kind's own type. */
export interface KindOptions<T extends KubeObject>
  extends Omit<KindDef<T>, 'ref' | 'schema' | 'defaults' | 'prepareForCreate' | 'prepareForUpdate' | 'prepareForStatusUpdate'> {
  readonly defaults?: (object: Mutable<T>) => void;
  readonly prepareForCreate?: (object: Mutable<T>, context: StrategyContext) => void;
  readonly prepareForUpdate?: (object: Mutable<T>, old: T, context: StrategyContext) => void;
  readonly prepareForStatusUpdate?: (object: Mutable<T>, old: T, context: StrategyContext) => void;
  /** True: creation may set the status (nodes register with theirs). Else kinds with a status begin with an empty one. */
  readonly keepStatusOnCreate?: boolean;
}

/** A built-in kind: its schema is the generated one. */
export function defineKind<T extends KubeObject>(ref: ResourceRef<T>, options: KindOptions<T> = {}): KindDef {
  const { keepStatusOnCreate = false, prepareForCreate, ...rest } = options;
  const schemaOf = (): Schema => {
    const schema = kindSchema(ref.group, ref.version, ref.kind);
    if (schema === undefined) throw new Error(`no schema was generated for ${ref.kind} in ${ref.group}/${ref.version}`);
    return schema;
  };
  const resets = options.hasStatus === true && !keepStatusOnCreate;
  const prepare = (object: Draft, context: StrategyContext): void => {
    const status = schemaOf().properties?.['status'];
    if (resets && status !== undefined) object['status'] = compile(status).zero();
    prepareForCreate?.(object as unknown as Mutable<T>, context);
  };
  const kind = {
    ref,
    get schema(): Schema {
      return schemaOf();
    },
    ...rest,
    ...(resets || prepareForCreate !== undefined ? { prepareForCreate: prepare } : {}),
  };
  // KindDef's functions take T; whoever calls them passes objects decoded by this very schema.
  return kind as unknown as KindDef;
}
