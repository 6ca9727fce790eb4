import type { NodeInfo, Plugin } from '../framework.ts';
import { reject } from '../framework.ts';

/** Labels by which volumes of old say where they can be used, and their names on nodes. */
const topologyLabels: readonly (readonly string[])[] = [
  ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone'],
  ['topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/region'],
];

/** A volume labelled with zones (joined by "__") is used only from nodes in one of them; nodes without such labels are not asked. */
export const volumeZone: Plugin = {
  name: 'VolumeZone',
  prepareFilter: (pod, view) => {
    const wanted: { readonly names: readonly string[]; readonly values: ReadonlySet<string> }[] = [];
    for (const name of pod.claims) {
      const volume = view.volume(view.claim(pod.namespace, name)?.spec?.volumeName ?? '');
      for (const names of topologyLabels) {
        const value = names.map((n) => volume?.metadata.labels?.[n]).find((v) => v !== undefined);
        if (value !== undefined) wanted.push({ names, values: new Set(value.split('__')) });
      }
    }
    if (wanted.length === 0) return { verdict: 'skip' };
    const suits = (node: NodeInfo): boolean =>
      wanted.every(({ names, values }) => {
        const value = names.map((n) => node.labels[n]).find((v) => v !== undefined);
        return value === undefined ? !hasTopology(node) : values.has(value);
      });
    return {
      verdict: 'filter',
      filter: (node) => (suits(node) ? undefined : reject('VolumeZone', true, 'node(s) had no available volume zone')),
    };
  },
  wakesOn: (event) =>
    event.on === 'claim' || event.on === 'volume' || (event.on === 'node' && (event.what === 'add' || event.what === 'labels')),
};

const hasTopology = (node: NodeInfo): boolean => topologyLabels.some((names) => names.some((n) => node.labels[n] !== undefined));
