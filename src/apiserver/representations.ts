/** Objects as clients that need less of them ask for: tables and metadata only. */
import type { KindDef } from '#kube/kind.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { badRequest } from '#kube/status-error.ts';

export interface TableContext {
  readonly now: Date;
  /** The includeObject parameter: None, Metadata (default) or Object. */
  readonly includeObject: string;
  readonly representation: { readonly asVersion: string };
}

/** PartialObjectMetadata of an object. */
export const partialObject = (object: KubeObject, version: string): unknown => ({
  kind: 'PartialObjectMetadata',
  apiVersion: `meta.k8s.io/${version}`,
  metadata: object.metadata,
});

export const partialList = (objects: readonly KubeObject[], metadata: unknown, version: string): unknown => ({
  kind: 'PartialObjectMetadataList',
  apiVersion: `meta.k8s.io/${version}`,
  metadata,
  items: objects.map((o) => partialObject(o, version)),
});

const defaultTable = {
  columns: [
    {
      name: 'Name',
      type: 'string' as const,
      format: 'name' as const,
      description:
        'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically.',
      priority: 0,
    },
    {
      name: 'Created At',
      type: 'date' as const,
      description: 'CreationTimestamp is a timestamp representing the server time when this object was created.',
      priority: 0,
    },
  ],
  cells: (object: KubeObject) => [object.metadata.name ?? '', object.metadata.creationTimestamp ?? null],
  completed: undefined,
};

/** A meta.k8s.io Table. Throws StatusError BadRequest for an unknown includeObject. */
export function tableOf(def: KindDef, objects: readonly Stored[], metadata: unknown, context: TableContext, withColumns: boolean): unknown {
  const { includeObject, now } = context;
  if (includeObject !== '' && includeObject !== 'None' && includeObject !== 'Metadata' && includeObject !== 'Object')
    throw badRequest(`unrecognized includeObject value: ${JSON.stringify(includeObject)}`);
  const table = def.table ?? defaultTable;
  const inner = (object: Stored): Record<string, unknown> => {
    if (includeObject === 'None') return {};
    return { object: includeObject === 'Object' ? object : partialObject(object, context.representation.asVersion) };
  };
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${context.representation.asVersion}`,
    metadata,
    columnDefinitions: withColumns
      ? table.columns.map((c) => ({
          name: c.name,
          type: c.type,
          format: ('format' in c ? c.format : undefined) ?? '',
          description: c.description,
          priority: c.priority,
        }))
      : null,
    rows: objects.map((object) => {
      const completed = table.completed?.(object);
      return {
        cells: table.cells(object, now),
        ...(completed === undefined ? {} : { conditions: [{ type: 'Completed', status: 'True', ...completed }] }),
        ...inner(object),
      };
    }),
  };
}
