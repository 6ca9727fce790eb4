import { bindings } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

/** Binds a pod to a node: POST answers, nothing is stored. */
export const bindingKind = defineKind(bindings, { verbs: ['create'], ephemeral: true });
