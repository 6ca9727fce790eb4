import type { NodeInfo, Plugin, PodInfo } from '../framework.ts';
import { reject } from '../framework.ts';
import { portKey } from '../node-info.ts';

const anywhere = '0.0.0.0';

/** Whether every host port of the pod is free on the node; a port bound to all addresses clashes with any. */
function free(pod: PodInfo, node: NodeInfo): boolean {
  return pod.hostPorts.every((p) => {
    const taken = node.usedPorts.get(portKey(p)) ?? [];
    return p.ip === anywhere ? taken.length === 0 : !taken.includes(p.ip) && !taken.includes(anywhere);
  });
}

export const nodePorts: Plugin = {
  name: 'NodePorts',
  prepareFilter: (pod) => {
    if (pod.hostPorts.length === 0) return { verdict: 'skip' };
    return {
      verdict: 'filter',
      filter: (node) =>
        free(pod, node) ? undefined : reject('NodePorts', false, "node(s) didn't have free ports for the requested pod ports"),
    };
  },
  wakesOn: (event, pod) =>
    (event.on === 'node' && event.what === 'add' && free(pod, event.node)) ||
    (event.on === 'pod' &&
      event.what === 'delete' &&
      event.pod.hostPorts.some((a) => pod.hostPorts.some((b) => portKey(a) === portKey(b)))),
};
