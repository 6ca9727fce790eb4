/** What the rule generators make for IPv6, given to a real nft: every kind of chain, set and match once. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Service, ServiceSpec } from '#kube/generated/core-v1.ts';
import type { EndpointSlice } from '#kube/generated/discovery-v1.ts';
import type { Stored } from '#kube/object.ts';
import { createKernelTable } from '#net/nft/kernel-table.ts';
import {
  comboFragments,
  groupFragment,
  groupSet,
  namedFragment,
  namedSet,
  podFragment,
  policyBase,
  policyFragment,
  policyModel,
  usesOf,
} from '#net/policy/rules.ts';
import { portModels } from '#net/proxy/model.ts';
import { baseFragment, portFragment } from '#net/proxy/rules.ts';
import { type Exec, realExec } from '#platform/exec.ts';
import { memoryLogger } from '#platform/log.ts';
import { sh } from './namespaces.ts';

const netns = `k3n6${process.pid % 10_000}`;
const exec: Exec = (file, args, options) => realExec('nsenter', [`--net=/run/netns/${netns}`, file, ...args], options);
const log = memoryLogger();
const signal = new AbortController().signal;
const meta = { name: 's', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

beforeAll(() => void sh('ip', 'netns', 'add', netns));
afterAll(() => void sh('ip', 'netns', 'delete', netns));

test('services of every kind are accepted, and so is every change of them', async () => {
  const base = { family: 6, clusterCidrs: ['fd42::/48'], bridgeNetfilter: false } as const;
  const table = createKernelTable({ family: 6, name: 'k3ts', probe: { chain: 'nat-prerouting', rule: 'jump services' } }, { exec, log });
  table.setFragment('base', baseFragment(base));
  const specs: readonly ServiceSpec[] = [
    { type: 'LoadBalancer', sessionAffinity: 'ClientIP', externalTrafficPolicy: 'Local', loadBalancerSourceRanges: ['2001:db8::/32'] },
    { type: 'NodePort', externalIPs: ['2001:db8::7'], internalTrafficPolicy: 'Local' },
    { type: 'NodePort', externalTrafficPolicy: 'Local' },
  ];
  const put = (node: string): void => {
    for (const [i, spec] of specs.entries()) {
      const service: Stored<Service> = {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { ...meta, name: `s${i}` },
        spec: { clusterIP: `fd43::${i + 1}`, ports: [{ port: 80, name: 'http', nodePort: 30_080 + i }], ...spec },
        status: { loadBalancer: { ingress: [{ ip: '2001:db8::9' }] } },
      };
      const slice: Stored<EndpointSlice> = {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: meta,
        addressType: 'IPv6',
        ports: [{ name: 'http', port: 8080 }],
        endpoints: [
          { addresses: ['fd42::5'], nodeName: node },
          { addresses: ['fd42::6'], nodeName: 'n2' },
        ],
      };
      for (const m of portModels(service, [slice], 6, { name: 'n1', zone: undefined }, new Set())) {
        table.setFragment(m.id, portFragment(m, base));
      }
    }
  };
  for (const node of ['n1', 'n2', 'n1']) {
    put(node);
    await table.apply(signal);
  }
  expect(log.lines).toEqual([]);
  expect(await table.verify(signal)).toBe(true);
});

test('policies of every kind are accepted', async () => {
  const table = createKernelTable({ family: 6, name: 'k3ts-policy', probe: { chain: 'forward-ingress', rule: '@ingress' } }, { exec, log });
  table.setFragment('base', policyBase(6));
  const pod = {
    key: 'default/a',
    namespace: 'default',
    labels: {},
    ips: ['fd42::5'],
    node: 'n1',
    ports: [{ name: 'web', protocol: 'tcp', port: 80 }],
  };
  const from = [{ ipBlock: { cidr: '2001:db8::/32', except: ['2001:db8:1::/48'] } }, { podSelector: {} }];
  const ports = [{ port: 'web' }, { port: 1, endPort: 9 }, { protocol: 'UDP' }];
  const model = policyModel({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: meta,
    spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'], ingress: [{ from, ports }], egress: [{ to: from, ports }] },
  });
  const { groups, named } = usesOf(model);
  for (const g of groups) table.setFragment(groupSet(g.key), groupFragment(g.key, [pod], 6));
  for (const n of named) table.setFragment(namedSet(n), namedFragment(n, [pod], 6));
  table.setFragment('policy', policyFragment(model, 6));
  for (const c of comboFragments([model])) table.setFragment(c.name, c.fragment);
  table.setFragment('pod', podFragment(pod, [model], 6));
  await table.apply(signal);
  expect(await table.verify(signal)).toBe(true);
});
