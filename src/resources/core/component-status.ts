import { componentStatuses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { column, nameColumn } from '../print.ts';

/** Health of control plane parts (deprecated upstream): computed, never stored. */
export const componentStatusKind = defineKind(componentStatuses, {
  deprecation: 'v1 ComponentStatus is deprecated in v1.19+',
  verbs: ['get', 'list'],
  ephemeral: true,
  table: {
    columns: [
      nameColumn,
      column('Status', 'Health of the component.'),
      column('Message', 'Message of the component.'),
      column('Error', 'Error of the component.'),
    ],
    cells: (object) => {
      const healthy = object.conditions?.find((c) => c.type === 'Healthy');
      const status = healthy === undefined ? 'Unknown' : healthy.status === 'True' ? 'Healthy' : 'Unhealthy';
      return [object.metadata.name ?? '', status, healthy?.message ?? '', healthy?.error ?? ''];
    },
  },
});
