import { volumeAttachments } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateVolumeAttachment, validateVolumeAttachmentStatus, validateVolumeAttachmentUpdate } from './validation.ts';

export const volumeAttachmentKind = defineKind(volumeAttachments, {
  returnsDeleted: true,
  validate: validateVolumeAttachment,
  validateUpdate: validateVolumeAttachmentUpdate,
  validateStatusUpdate: validateVolumeAttachmentStatus,
  hasStatus: true,
  statusKeepsMetadata: 'all',
  unconditionalUpdate: false,
  table: {
    columns: [
      nameColumn,
      column('Attacher', 'The driver that attaches the volume.', 'string'),
      column('PV', 'The persistent volume to attach.'),
      column('Node', 'The node to attach it to.'),
      column('Attached', 'Whether it is attached.', 'boolean'),
      ageColumn,
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      object.spec.attacher,
      object.spec.source.persistentVolumeName ?? '',
      object.spec.nodeName,
      object.status?.attached ?? false,
      ageOf(object, now),
    ],
  },
});
