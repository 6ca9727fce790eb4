import { allVerbs } from '#kube/kind.ts';
import { namespaces } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const namespaceKind = defineKind(namespaces, {
  hasStatus: true,
  nameFormat: 'label',
  subresources: ['finalize'],
  verbs: allVerbs.filter((verb) => verb !== 'deletecollection'),
});
