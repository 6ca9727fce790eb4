import { flowSchemas } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn, orNone } from '../print.ts';
import { validateFlowSchema, validateFlowSchemaStatus } from './validation.ts';

export const flowSchemaKind = defineKind(flowSchemas, {
  validate: validateFlowSchema,
  validateStatusUpdate: validateFlowSchemaStatus,
  hasStatus: true,
  statusKeepsMetadata: 'all',
  generation: 'spec',
  defaults: (object) => {
    if (object.spec !== undefined) object.spec.matchingPrecedence ||= 1000;
  },
  table: {
    columns: [
      nameColumn,
      column('PriorityLevel', 'The priority level that requests get.'),
      column('MatchingPrecedence', 'Lower ones are tried first.', 'integer'),
      column('DistinguisherMethod', 'How flows are told apart.'),
      ageColumn,
      column('MissingPL', 'Whether the priority level does not exist.'),
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      orNone(object.spec?.priorityLevelConfiguration.name),
      object.spec?.matchingPrecedence ?? 0,
      orNone(object.spec?.distinguisherMethod?.type),
      ageOf(object, now),
      object.status?.conditions?.find((c) => c.type === 'Dangling')?.status ?? '?',
    ],
  },
});
