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
export const partialObject = (object: KubeObject, version: string) => ({
  kind: 'PartialObjectMetadata',
  apiVersion: `meta.k8s.io/${version}`,
  metadata: object.metadata,
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

/** What a table says before its rows. Throws StatusError BadRequest for an unknown includeObject. */
export function tableHead(def: KindDef, metadata: object, context: TableContext, withColumns: boolean) {
  const { includeObject, representation } = context;
  if (includeObject !== '' && includeObject !== 'None' && includeObject !== 'Metadata' && includeObject !== 'Object')
    throw badRequest(`unrecognized includeObject value: ${JSON.stringify(includeObject)}`);
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${representation.asVersion}`,
    metadata,
    columnDefinitions: withColumns
      ? (def.table ?? defaultTable).columns.map((c) => ({
          name: c.name,
          type: c.type,
          format: ('format' in c ? c.format : undefined) ?? '',
          description: c.description,
          priority: c.priority,
        }))
      : null,
  };
}

/** The row of an object. */
export function tableRow(def: KindDef, object: Stored, { now, includeObject, representation }: TableContext): object {
  const table = def.table ?? defaultTable;
  const completed = table.completed?.(object);
  const inner = includeObject === 'Object' ? object : partialObject(object, representation.asVersion);
  return {
    cells: table.cells(object, now),
    ...(completed === undefined ? {} : { conditions: [{ type: 'Completed', status: 'True', ...completed }] }),
    ...(includeObject === 'None' ? {} : { object: inner }),
  };
}

/** A meta.k8s.io Table of one object. Throws StatusError BadRequest for an unknown includeObject. */
export function tableOf(def: KindDef, object: Stored, context: TableContext, withColumns: boolean): unknown {
  const head = tableHead(def, { resourceVersion: object.metadata.resourceVersion }, context, withColumns);
  return { ...head, rows: [tableRow(def, object, context)] };
}
