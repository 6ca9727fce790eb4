import { ipAddresses } from '#kube/refs.ts';
import { groupResource } from '#kube/status-error.ts';
import { defineKind } from '../define.ts';
import { column, nameColumn } from '../print.ts';
import { validateIpAddress, validateIpAddressUpdate } from './address-validation.ts';

export const ipAddressKind = defineKind(ipAddresses, {
  validate: validateIpAddress,
  validateUpdate: validateIpAddressUpdate,
  nameFormat: 'path',
  table: {
    columns: [nameColumn, column('ParentRef', 'The object that holds the address.')],
    cells: (object) => {
      const p = object.spec?.parentRef;
      if (p === undefined) return [object.metadata.name ?? '', '<none>'];
      const resource = groupResource({ group: p.group ?? '', plural: p.resource ?? '' }).toLowerCase();
      return [object.metadata.name ?? '', [resource, ...(p.namespace ? [p.namespace] : []), p.name ?? ''].join('/')];
    },
  },
});
