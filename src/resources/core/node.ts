import type { Node } from '#kube/generated/core-v1.ts';
import { nodes } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn, orNone, wideColumn } from '../print.ts';
import { nodeWarnings, validateNode, validateNodeUpdate } from './node-validation.ts';
import { roundResources } from './pod-defaults.ts';

function statusText(node: Node): string {
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready');
  const text = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return node.spec?.unschedulable === true ? `${text},SchedulingDisabled` : text;
}

const rolePrefix = 'node-role.kubernetes.io/';

function roles(node: Node): string {
  const found = new Set<string>();
  for (const [key, value] of Object.entries(node.metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) found.add(key.slice(rolePrefix.length));
    else if (key === 'kubernetes.io/role' && value !== '') found.add(value);
  }
  return orNone([...found].sort().join(','));
}

const address = (node: Node, type: string): string => orNone(node.status?.addresses?.find((a) => a.type === type)?.address);
const orUnknown = (text: string | undefined): string => text || '<unknown>';

export const nodeKind = defineKind(nodes, {
  validate: validateNode,
  validateUpdate: validateNodeUpdate,
  validateStatusUpdate: validateNodeUpdate,
  warnings: (object) => nodeWarnings(object),
  hasStatus: true,
  keepStatusOnCreate: true,
  subresources: ['proxy'],
  defaults: (object) => {
    const { spec, status } = object;
    if (spec?.podCIDR !== undefined && spec.podCIDR !== spec.podCIDRs?.[0]) spec.podCIDRs = [spec.podCIDR];
    else if (spec !== undefined && spec.podCIDR === undefined && spec.podCIDRs?.[0] !== undefined) spec.podCIDR = spec.podCIDRs[0];
    if (status?.allocatable === undefined && status?.capacity !== undefined) status.allocatable = { ...status.capacity };
    roundResources(status?.capacity);
    roundResources(status?.allocatable);
  },
  selectableFields: { 'spec.unschedulable': (object) => String(object.spec?.unschedulable ?? false) },
  table: {
    columns: [
      nameColumn,
      column('Status', 'The status of the node.'),
      column('Roles', 'The roles of the node.'),
      ageColumn,
      column('Version', 'Kubelet version reported by the node.'),
      wideColumn('Internal-IP', 'The first address of type InternalIP.'),
      wideColumn('External-IP', 'The first address of type ExternalIP.'),
      wideColumn('OS-Image', 'OS image reported by the node.'),
      wideColumn('Kernel-Version', 'Kernel version reported by the node.'),
      wideColumn('Container-Runtime', 'Container runtime version reported by the node.'),
    ],
    cells: (object, now) => {
      const info = object.status?.nodeInfo;
      return [
        object.metadata.name ?? '',
        statusText(object),
        roles(object),
        ageOf(object, now),
        info?.kubeletVersion ?? '',
        address(object, 'InternalIP'),
        address(object, 'ExternalIP'),
        orUnknown(info?.osImage),
        orUnknown(info?.kernelVersion),
        orUnknown(info?.containerRuntimeVersion),
      ];
    },
  },
});
