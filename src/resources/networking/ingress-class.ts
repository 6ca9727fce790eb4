import { ingressClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateIngressClass, validateIngressClassUpdate } from './validation.ts';

export const ingressClassKind = defineKind(ingressClasses, {
  validate: validateIngressClass,
  validateUpdate: validateIngressClassUpdate,
  generation: 'spec',
  defaults: (object) => {
    if (object.spec?.parameters !== undefined) object.spec.parameters.scope ??= 'Cluster';
  },
  table: {
    columns: [
      nameColumn,
      column('Controller', 'The controller that handles the class.'),
      column('Parameters', 'An object with more of the configuration.'),
      ageColumn,
    ],
    cells: (object, now) => {
      const p = object.spec?.parameters;
      const kind = p?.apiGroup === undefined ? p?.kind : `${p.kind}.${p.apiGroup}`;
      return [
        object.metadata.name ?? '',
        object.spec?.controller ?? '',
        p === undefined ? '<none>' : `${kind}/${p.name}`,
        ageOf(object, now),
      ];
    },
  },
});
