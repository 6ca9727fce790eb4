import { expect, test } from 'vitest';
import type { NetworkPolicySpec } from '#kube/generated/networking-v1.ts';
import { PodGroups, type PolicyPod, podGroup } from './groups.ts';
import { comboFragments, namedFragment, podFragment, policyFragment, policyModel, usesOf } from './rules.ts';

const pod = (name: string, labels: Readonly<Record<string, string>>, namespace = 'default'): PolicyPod => ({
  key: `${namespace}/${name}`,
  namespace,
  labels,
  ips: [`10.42.0.${name.length}`, 'fd00::1'],
  node: 'n1',
  ports: [{ name: 'web', protocol: 'tcp', port: 8080 }],
});
const policy = (spec: NetworkPolicySpec, name = 'p') =>
  policyModel({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec,
  });
const rulesOf = (spec: NetworkPolicySpec): readonly string[] => policyFragment(policy(spec), 4).chains?.flatMap((c) => c.rules) ?? [];

function groups() {
  const changed: string[] = [];
  const all = new PodGroups((g) => changed.push(g));
  const names = (key: string): string[] => [...all.members(key)].map((p) => p.key).sort();
  return { all, changed, names };
}

test('a group follows pods as their labels change and as they go', () => {
  const { all, names } = groups();
  const web = podGroup('default', undefined, { matchLabels: { app: 'web' } });
  all.setPod('default/a', pod('a', { app: 'web' }));
  all.use(web);
  all.setPod('default/bb', pod('bb', { app: 'web' }));
  all.setPod('other/c', pod('c', { app: 'web' }, 'other'));
  expect(names(web.key)).toEqual(['default/a', 'default/bb']);
  all.setPod('default/a', pod('a', {}));
  all.setPod('default/bb', undefined);
  expect(names(web.key)).toEqual([]);
});

test('a group that picks namespaces follows their labels', () => {
  const { all, names } = groups();
  const team = podGroup('default', { matchLabels: { team: 'x' } }, undefined);
  all.use(team);
  all.setPod('other/c', pod('c', {}, 'other'));
  expect(names(team.key)).toEqual([]);
  all.setNamespace('other', { team: 'x' });
  expect(names(team.key)).toEqual(['other/c']);
  all.setNamespace('other', {});
  expect(names(team.key)).toEqual([]);
});

test('a pod that did not change in what policies see changes nothing', () => {
  const { all, changed } = groups();
  all.use(podGroup('default', undefined, undefined));
  all.setPod('default/a', pod('a', {}));
  const before = changed.length;
  expect(all.setPod('default/a', pod('a', {}))).toBe(false);
  expect(changed).toHaveLength(before);
});

test('a group is kept while any policy uses it', () => {
  const { all } = groups();
  const group = podGroup('default', undefined, undefined);
  all.use(group);
  all.use(group);
  all.release(group.key);
  expect(all.isUsed(group.key)).toBe(true);
  all.release(group.key);
  expect(all.isUsed(group.key)).toBe(false);
});

test('peers and ports of a rule multiply, rules add up', () => {
  const rules = rulesOf({
    policyTypes: ['Ingress'],
    ingress: [
      {
        from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }, { ipBlock: { cidr: 'fd00::/8' } }],
        ports: [{ port: 80 }, { port: 100, endPort: 200, protocol: 'UDP' }, { protocol: 'SCTP' }],
      },
      {},
    ],
  });
  const from = 'ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16 }';
  expect(rules).toEqual([
    `${from} meta l4proto sctp accept`,
    `${from} meta l4proto tcp th dport 80 accept`,
    `${from} meta l4proto udp th dport 100-200 accept`,
    'accept',
  ]);
});

test('a policy with egress rules but no types isolates both ways; one without only inward', () => {
  expect(Object.keys(policy({ egress: [] }).rules)).toEqual(['ingress', 'egress']);
  expect(Object.keys(policy({}).rules)).toEqual(['ingress']);
});

test('a named port is looked up on the selected pods inward and on the peers outward', () => {
  const model = policy({
    podSelector: { matchLabels: { app: 'a' } },
    policyTypes: ['Ingress', 'Egress'],
    ingress: [{ ports: [{ port: 'web' }] }],
    egress: [{ to: [{ podSelector: { matchLabels: { app: 'b' } } }], ports: [{ port: 'web' }] }],
  });
  const { named } = usesOf(model);
  expect(named.map((n) => n.group.key)).toEqual(['["default",{"matchLabels":{"app":"a"}}]', '["default",{"matchLabels":{"app":"b"}}]']);
  const [use] = named;
  if (use === undefined) throw new Error('no named port');
  expect(namedFragment(use, [pod('a', {})], 4).elements?.map((e) => e.key)).toEqual(['10.42.0.1 . tcp . 8080']);
});

test('pods under the same policies share a chain that ends in drop', () => {
  const models = [policy({}, 'one'), policy({}, 'two')];
  const [a, b] = [pod('a', {}), pod('bb', {})].map((p) => podFragment(p, models, 4)?.elements?.find((e) => e.set === 'ingress')?.value);
  expect(a).toBe(b);
  const [combo] = comboFragments(models);
  expect(combo?.fragment.chains?.[0]?.rules.at(-1)).toBe('drop');
  expect(combo?.fragment.chains?.[0]?.rules).toHaveLength(3);
});

test('a pod under no policy is in no map', () => {
  expect(podFragment(pod('a', {}), [], 4)).toBeUndefined();
});
