import { controllerOf } from '#kube/object.ts';
import { controllerRevisions, splitApiVersion } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateControllerRevision, validateControllerRevisionUpdate } from './revision-validation.ts';

export const controllerRevisionKind = defineKind(controllerRevisions, {
  validate: validateControllerRevision,
  validateUpdate: validateControllerRevisionUpdate,
  table: {
    columns: [
      nameColumn,
      column('Controller', 'The object that the revision is of.'),
      column('Revision', 'The number of the revision.', 'integer'),
      ageColumn,
    ],
    cells: (object, now) => {
      const owner = controllerOf(object);
      const { group } = splitApiVersion(owner?.apiVersion ?? '');
      const kind = group === '' ? owner?.kind : `${owner?.kind}.${group}`;
      const controller = owner === undefined ? '<none>' : `${kind?.toLowerCase()}/${owner.name}`;
      return [object.metadata.name ?? '', controller, object.revision, ageOf(object, now)];
    },
  },
});
