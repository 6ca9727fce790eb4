import { secrets } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateSecret, validateSecretUpdate } from './data-validation.ts';

/** The bytes of text as they are kept in `data`. */
const encoded = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

export const secretKind = defineKind(secrets, {
  validate: validateSecret,
  validateUpdate: validateSecretUpdate,
  defaults: (object) => {
    object.type ||= 'Opaque';
    if (object.stringData === undefined) return;
    const data = { ...object.data };
    for (const [key, text] of Object.entries(object.stringData)) data[key] = encoded(text);
    object.data = data;
    delete object.stringData;
  },
  selectableFields: { type: (object) => object.type ?? '' },
  table: {
    columns: [
      nameColumn,
      column('Type', 'Used to facilitate programmatic handling of secret data.'),
      column('Data', 'The number of entries.', 'integer'),
      ageColumn,
    ],
    cells: (object, now) => [object.metadata.name ?? '', object.type ?? '', Object.keys(object.data ?? {}).length, ageOf(object, now)],
  },
});
