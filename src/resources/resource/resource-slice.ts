import { resourceSlices } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateResourceSlice, validateResourceSliceUpdate } from './slice-validation.ts';

export const resourceSliceKind = defineKind(resourceSlices, {
  validate: validateResourceSlice,
  validateUpdate: validateResourceSliceUpdate,
  generation: 'spec',
  selectableFields: {
    'spec.nodeName': (object) => object.spec?.nodeName ?? '',
    'spec.driver': (object) => object.spec?.driver ?? '',
  },
  table: {
    columns: [
      nameColumn,
      column('Node', 'The node that has the devices.'),
      column('Driver', 'The driver that offers them.'),
      column('Pool', 'The pool that they belong to.'),
      ageColumn,
    ],
    cells: (object, now) => {
      const { spec } = object;
      const node = spec?.nodeName ?? (spec?.allNodes === true ? '<all>' : '<unset>');
      return [object.metadata.name ?? '', node, spec?.driver ?? '', spec?.pool.name ?? '', ageOf(object, now)];
    },
  },
});
