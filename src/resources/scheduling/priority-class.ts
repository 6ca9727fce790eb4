import { priorityClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const priorityClassKind = defineKind(priorityClasses, { generation: 'spec' });
