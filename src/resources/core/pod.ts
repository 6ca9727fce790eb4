import { pods } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const podKind = defineKind(pods, {
  hasStatus: true,
  generation: 'spec',
  subresources: ['attach', 'binding', 'ephemeralcontainers', 'eviction', 'exec', 'log', 'portforward', 'proxy', 'resize'],
});
