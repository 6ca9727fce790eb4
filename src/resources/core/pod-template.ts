import { podTemplates } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { column, containerCells, formatLabels, nameColumn } from '../print.ts';
import { templateDefaults } from './pod-defaults.ts';
import { podTemplate } from './pod-validation/pod.ts';

export const podTemplateKind = defineKind(podTemplates, {
  returnsDeleted: true,
  validate: (object) => podTemplate('template', object.template ?? {}),
  generation: 'spec',
  defaults: (object) => templateDefaults(object.template),
  table: {
    columns: [
      nameColumn,
      column('Containers', 'Names of each container in the template.'),
      column('Images', 'Images referenced by each container in the template.'),
      column('Pod Labels', 'The labels for the pod template.'),
    ],
    cells: (object) => [
      object.metadata.name ?? '',
      ...containerCells(object.template?.spec?.containers),
      formatLabels(object.template?.metadata?.labels),
    ],
  },
});
