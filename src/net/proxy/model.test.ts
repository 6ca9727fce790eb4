import { expect, test } from 'vitest';
import type { Service, ServiceSpec } from '#kube/generated/core-v1.ts';
import type { Endpoint, EndpointSlice } from '#kube/generated/discovery-v1.ts';
import type { Stored } from '#kube/object.ts';
import { staleFlows } from './conntrack.ts';
import { type PortModel, portModels } from './model.ts';
import { portFragment } from './rules.ts';

const meta = { name: 'web', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const service = (spec: ServiceSpec, status?: Service['status']): Stored<Service> => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: meta,
  spec: { clusterIP: '10.43.0.5', ports: [{ name: 'http', port: 80 }], ...spec },
  ...(status === undefined ? {} : { status }),
});
const slice = (endpoints: readonly Endpoint[], port = 8080, protocol = 'TCP'): Stored<EndpointSlice> => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: meta,
  addressType: 'IPv4',
  endpoints,
  ports: [{ name: 'http', port, protocol }],
});
const endpoint = (ip: string, extra: Partial<Endpoint> = {}): Endpoint => ({ addresses: [ip], nodeName: 'n1', ...extra });
const here = { name: 'n1', zone: 'z1' };
const ips = (models: readonly PortModel[]): string[] => models.flatMap((m) => m.cluster.map((t) => `${t.ip}:${t.port}`));
const base = { family: 4, clusterCidrs: ['10.42.0.0/16'], bridgeNetfilter: true } as const;

const model = (spec: ServiceSpec, slices: readonly Stored<EndpointSlice>[], status?: Service['status']): PortModel => {
  const [first] = portModels(service(spec, status), slices, 4, here, new Set());
  if (first === undefined) throw new Error('no model');
  return first;
};

test('ready endpoints count; without any, ending ones that still serve', () => {
  const ready = endpoint('10.42.0.1');
  const ending = endpoint('10.42.0.2', { conditions: { ready: false, serving: true, terminating: true } });
  const broken = endpoint('10.42.0.3', { conditions: { ready: false, serving: false } });
  expect(ips([model({}, [slice([ready, ending, broken])])])).toEqual(['10.42.0.1:8080']);
  expect(ips([model({}, [slice([ending, broken])])])).toEqual(['10.42.0.2:8080']);
});

test('an endpoint in two slices is one endpoint', () => {
  expect(ips([model({}, [slice([endpoint('10.42.0.1')]), slice([endpoint('10.42.0.1')])])])).toEqual(['10.42.0.1:8080']);
});

test('hints for the zone count when every endpoint has them', () => {
  const near = endpoint('10.42.0.1', { hints: { forZones: [{ name: 'z1' }] } });
  const far = endpoint('10.42.0.2', { hints: { forZones: [{ name: 'z2' }] } });
  expect(ips([model({}, [slice([near, far])])])).toEqual(['10.42.0.1:8080']);
  expect(ips([model({}, [slice([near, far, endpoint('10.42.0.3')])])])).toHaveLength(3);
});

test('headless, external-name and excluded services are not proxied', () => {
  expect(portModels(service({ clusterIP: 'None' }), [], 4, here, new Set())).toEqual([]);
  expect(portModels(service({ type: 'ExternalName', externalName: 'x' }), [], 4, here, new Set())).toEqual([]);
  expect(portModels(service({}), [], 4, here, new Set(['10.43.0.5']))).toEqual([]);
});

test('each family of a dual-stack service gets its own address', () => {
  const dual = service({ clusterIPs: ['10.43.0.5', 'fd00::5'] });
  const [six] = portModels(dual, [], 6, here, new Set());
  expect(six?.clusterIp).toBe('fd00::5');
});

test('without endpoints anywhere a service refuses; with some elsewhere under the policy Local it drops', () => {
  const verdicts = (m: PortModel) =>
    (portFragment(m, base).elements ?? []).filter((e) => e.set === 'no-endpoint-services').map((e) => e.value);
  expect(verdicts(model({}, []))).toEqual(['goto refuse']);
  const elsewhere = slice([endpoint('10.42.1.1', { nodeName: 'n2' })]);
  expect(verdicts(model({ internalTrafficPolicy: 'Local' }, [elsewhere]))).toEqual(['drop']);
});

test('the rules of a service are one map lookup whatever the number of endpoints', () => {
  const many = slice(Array.from({ length: 50 }, (_, i) => endpoint(`10.42.0.${i + 1}`)));
  const chains = portFragment(model({}, [many]), base).chains ?? [];
  expect(chains).toHaveLength(1);
  expect(chains[0]?.rules).toHaveLength(2);
  expect(chains[0]?.rules[1]).toMatch(/^meta l4proto tcp dnat to numgen random mod 50 map \{ 0 : 10\.42\.0\.1 \. 8080, /);
});

test('names hold only what nft takes, also where they come from IPv6 addresses', () => {
  const dual = service({ clusterIP: 'fd00::5', sessionAffinity: 'ClientIP' });
  const six = { ...slice([endpoint('fd00::1')]), addressType: 'IPv6' };
  const [m] = portModels(dual, [six], 6, here, new Set());
  if (m === undefined) throw new Error('no model');
  const fragment = portFragment(m, { ...base, family: 6 });
  const names = [...(fragment.chains ?? []), ...(fragment.sets ?? [])].map((d) => d.name);
  expect(names.length).toBeGreaterThan(2);
  for (const name of names) expect(name).toMatch(/^[a-z][a-zA-Z0-9/._-]+$/);
});

test('names stay within what nft takes, also for the longest service names', () => {
  const long = { ...service({ sessionAffinity: 'ClientIP' }), metadata: { ...meta, name: 'n'.repeat(63), namespace: 's'.repeat(63) } };
  const [m] = portModels(long, [slice([endpoint('10.42.0.1')])], 4, here, new Set());
  if (m === undefined) throw new Error('no model');
  const fragment = portFragment(m, base);
  for (const { name } of [...(fragment.chains ?? []), ...(fragment.sets ?? [])]) expect(name.length).toBeLessThan(128);
});

test('a load balancer in proxy mode keeps its address to itself', () => {
  const ingress = (ipMode: string) => ({ loadBalancer: { ingress: [{ ip: '198.51.100.1', ipMode }] } });
  expect(model({ type: 'LoadBalancer' }, [], ingress('VIP')).loadBalancerIps).toEqual(['198.51.100.1']);
  expect(model({ type: 'LoadBalancer' }, [], ingress('Proxy')).loadBalancerIps).toEqual([]);
});

test('UDP flows to endpoints that are gone are named for deletion', () => {
  const udp = { ports: [{ name: 'http', port: 53, protocol: 'UDP' }] };
  const before = model(udp, [slice([endpoint('10.42.0.1'), endpoint('10.42.0.2')], 53, 'UDP')]);
  const now = model(udp, [slice([endpoint('10.42.0.2')], 53, 'UDP')]);
  expect(staleFlows(before, now)).toEqual([['--orig-dst', '10.43.0.5', '--dst-nat', '10.42.0.1']]);
  expect(staleFlows(undefined, now)).toEqual([['--orig-dst', '10.43.0.5', '--orig-port-dst', '53']]);
  expect(staleFlows(model({}, [slice([endpoint('10.42.0.1')])]), undefined)).toEqual([]);
});
