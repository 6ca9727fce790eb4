import { volumeAttachments } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const volumeAttachmentKind = defineKind(volumeAttachments, { hasStatus: true, unconditionalUpdate: false });
