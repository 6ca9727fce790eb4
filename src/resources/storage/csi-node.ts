import { csiNodes } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateCsiNode, validateCsiNodeUpdate } from './validation.ts';

export const csiNodeKind = defineKind(csiNodes, {
  returnsDeleted: true,
  validate: validateCsiNode,
  validateUpdate: validateCsiNodeUpdate,
  unconditionalUpdate: false,
  table: {
    columns: [nameColumn, column('Drivers', 'The number of CSI drivers of the node.', 'integer'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', object.spec?.drivers.length ?? 0, ageOf(object, now)],
  },
});
