import { configMaps } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateConfigMap, validateConfigMapUpdate } from './data-validation.ts';

const count = (map: Readonly<Record<string, string>> | undefined): number => Object.keys(map ?? {}).length;

export const configMapKind = defineKind(configMaps, {
  validate: validateConfigMap,
  validateUpdate: validateConfigMapUpdate,
  table: {
    columns: [nameColumn, column('Data', 'The number of entries.', 'integer'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', count(object.data) + count(object.binaryData), ageOf(object, now)],
  },
});
