/** The subresources that reach into nodes. */
import type { SubresourceDef } from '../contract.ts';
import type { Tunnel } from '../tunnel.ts';
import { podAttach, podExec } from './pod-exec.ts';
import { podLog } from './pod-log.ts';
import { podPortForward } from './pod-portforward.ts';
import { nodeProxySubresource, podProxy, serviceProxy } from './proxy.ts';

export const nodeSubresources = (tunnel: Tunnel): readonly SubresourceDef[] => [
  podLog(tunnel),
  podExec(tunnel),
  podAttach(tunnel),
  podPortForward(tunnel),
  podProxy(tunnel),
  serviceProxy(tunnel),
  nodeProxySubresource(tunnel),
];
