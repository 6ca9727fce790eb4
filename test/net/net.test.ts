/**
 * The node network on a real kernel: a node, two pods on it made by the real CNI plugins, and a host outside, each in a
 * network namespace of its own, with real traffic between them.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Service, ServiceSpec } from '#kube/generated/core-v1.ts';
import type { Endpoint, EndpointSlice } from '#kube/generated/discovery-v1.ts';
import type { NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec } from '#kube/generated/networking-v1.ts';
import { inside, sh, startWorker, type Worker } from './namespaces.ts';

const prefix = `k3n${process.pid % 10_000}`;
const nodeIp = '192.0.2.1';
const outsideIp = '192.0.2.2';
const cniBin = '/usr/lib/cni';
const dir = mkdtempSync('/tmp/k3ts-net-');
const paths = { cniConfDir: join(dir, 'net.d'), cniDataDir: join(dir, 'leases'), resolvConf: join(dir, 'resolv.conf') };
const workers: Worker[] = [];
const spaces: string[] = [];
let node: Worker;
let host: Worker;
let outside: Worker;
let podA: Worker;
let podB: Worker;
let ipA = '';
let ipB = '';

function space(name: string): string {
  const full = `${prefix}-${name}`;
  sh('ip', 'netns', 'add', full);
  spaces.push(full);
  inside(full, 'ip', 'link', 'set', 'lo', 'up');
  return full;
}

function worker(name: string, netns: string, script = 'peer.ts'): Worker {
  const w = startWorker(name, netns, script);
  workers.push(w);
  return w;
}

/** Runs the plugins of our conflist as containerd would; gives the pod's address. */
function cni(command: 'ADD' | 'DEL', pod: string, nodeNetns: string): string {
  const list = JSON.parse(readFileSync(join(paths.cniConfDir, '10-k3ts.conflist'), 'utf8')) as {
    cniVersion: string;
    name: string;
    plugins: { type: string }[];
  };
  let previous: { ips?: { address: string }[] } | undefined;
  for (const plugin of command === 'ADD' ? list.plugins : list.plugins.toReversed()) {
    const config = { cniVersion: list.cniVersion, name: list.name, ...plugin, ...(previous === undefined ? {} : { prevResult: previous }) };
    const out = execFileSync('nsenter', [`--net=/run/netns/${nodeNetns}`, join(cniBin, plugin.type)], {
      input: JSON.stringify(config),
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'] ?? '',
        CNI_COMMAND: command,
        CNI_CONTAINERID: pod,
        CNI_NETNS: `/run/netns/${pod}`,
        CNI_IFNAME: 'eth0',
        CNI_PATH: cniBin,
      },
    });
    if (command === 'ADD') previous = JSON.parse(out) as typeof previous;
  }
  return previous?.ips?.[0]?.address.split('/')[0] ?? '';
}

async function until<T>(what: string, probe: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  const end = Date.now() + 15_000;
  for (;;) {
    const value = await probe();
    if (good(value)) return value;
    if (Date.now() > end) throw new Error(`${what}: still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const put = (plural: string, object: object) => node.ask('put', { plural, object });

async function service(name: string, spec: ServiceSpec, endpoints: readonly Endpoint[], status?: Service['status']): Promise<void> {
  const meta = { name, namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z', resourceVersion: '', uid: '' };
  const object: Service = { apiVersion: 'v1', kind: 'Service', metadata: meta, spec, ...(status === undefined ? {} : { status }) };
  const ports = (spec.ports ?? []).map((p) => ({
    name: p.name ?? '',
    protocol: p.protocol ?? 'TCP',
    port: Number(p.targetPort ?? p.port),
  }));
  const slice: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...meta, name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints,
    ports,
  };
  await put('services', object);
  await put('endpointslices', slice);
}

const at = (ip: string, extra: Partial<Endpoint> = {}): Endpoint => ({
  addresses: [ip],
  conditions: { ready: true },
  nodeName: 'n1',
  ...extra,
});
const tcp = (from: Worker, hostName: string, port: number): Promise<string> => from.ask('tcp', { host: hostName, port });
const udp = (from: Worker, hostName: string, port: number, localPort?: number): Promise<string> =>
  from.ask('udp', { host: hostName, port, ...(localPort === undefined ? {} : { localPort }) });
const dns = (from: Worker, name: string, type = 'A', server = '10.43.0.10'): Promise<string> => from.ask('dns', { name, type, server });
const nameOf = (answer: string): string => answer.split(' ')[0] ?? '';

beforeAll(async () => {
  const nodeNs = space('node');
  const outsideNs = space('out');
  sh('ip', 'link', 'add', `${prefix}v0`, 'netns', nodeNs, 'type', 'veth', 'peer', 'name', `${prefix}v1`, 'netns', outsideNs);
  for (const [ns, link, ip] of [
    [nodeNs, `${prefix}v0`, nodeIp],
    [outsideNs, `${prefix}v1`, outsideIp],
  ] as const) {
    inside(ns, 'ip', 'address', 'add', `${ip}/24`, 'dev', link);
    inside(ns, 'ip', 'link', 'set', link, 'up');
  }
  execFileSync('sh', ['-c', `echo nameserver ${outsideIp} > ${paths.resolvConf}`]);
  node = worker('node', nodeNs, 'node.ts');
  host = worker('host', nodeNs);
  outside = worker('outside', outsideNs);
  await node.ask('start', { nodeName: 'n1', nodeIp, paths });
  await put('nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { podCIDR: '10.42.0.0/24', podCIDRs: ['10.42.0.0/24'] },
    status: { addresses: [{ type: 'InternalIP', address: nodeIp }] },
  });
  await until(
    'network ready',
    () => node.ask<string | null>('notReady'),
    (why) => why === null,
  );
  const [nsA, nsB] = [space('a'), space('b')];
  ipA = cni('ADD', nsA, nodeNs);
  ipB = cni('ADD', nsB, nodeNs);
  podA = worker('a', nsA);
  podB = worker('b', nsB);
  await Promise.all([podA, podB].map((p) => p.ask('listen', { name: p.name, port: 8080 })));
  await outside.ask('listen', { name: 'outside', port: 8080 });
}, 60_000);

afterAll(async () => {
  await Promise.all(workers.map((w) => w.stop()));
  for (const name of spaces) sh('ip', 'netns', 'delete', name);
  rmSync(dir, { recursive: true, force: true });
}, 30_000);

describe('pods', () => {
  test('reach each other under their own addresses', async () => {
    expect(await tcp(podA, ipB, 8080)).toBe(`b ${ipA}`);
  });
  test('leave the cluster under the node’s address', async () => {
    expect(await tcp(podA, outsideIp, 8080)).toBe(`outside ${nodeIp}`);
  });
});

describe('a ClusterIP service', () => {
  const spec: ServiceSpec = { clusterIP: '10.43.1.1', ports: [{ name: 'web', port: 80, targetPort: 8080 }] };

  test('spreads pods’ connections over its endpoints and keeps their address', async () => {
    await service('web', spec, [at(ipA), at(ipB)]);
    await until(
      'an answer',
      () => tcp(podA, '10.43.1.1', 80),
      (a) => a.startsWith('b '),
    );
    const answers = await Promise.all(Array.from({ length: 30 }, () => tcp(podA, '10.43.1.1', 80)));
    expect(new Set(answers.map(nameOf))).toEqual(new Set(['a', 'b']));
    expect(new Set(answers.filter((a) => a.startsWith('b ')))).toEqual(new Set([`b ${ipA}`]));
  });

  test('answers a pod that is its own endpoint', async () => {
    await service('self', { clusterIP: '10.43.1.2', ports: [{ port: 80, targetPort: 8080 }] }, [at(ipA)]);
    expect(
      nameOf(
        await until(
          'an answer',
          () => tcp(podA, '10.43.1.2', 80),
          (a) => a.startsWith('a '),
        ),
      ),
    ).toBe('a');
  });

  test('answers the node itself', async () => {
    expect(['a', 'b']).toContain(nameOf(await tcp(host, '10.43.1.1', 80)));
  });

  test('refuses ports it does not have', async () => {
    expect(await tcp(podA, '10.43.1.1', 81)).toBe('ECONNREFUSED');
    expect(await tcp(host, '10.43.1.1', 81)).toBe('ECONNREFUSED');
  });

  test('refuses at once while nobody is ready, and follows endpoints as they come and go', async () => {
    await service('web', spec, []);
    await until(
      'refusal',
      () => tcp(podA, '10.43.1.1', 80),
      (a) => a === 'ECONNREFUSED',
    );
    expect(await tcp(host, '10.43.1.1', 80)).toBe('ECONNREFUSED');
    await service('web', spec, [at(ipB)]);
    await until(
      'endpoint b',
      () => tcp(podA, '10.43.1.1', 80),
      (a) => a === `b ${ipA}`,
    );
    await service('web', spec, [at(ipA, { conditions: { ready: false, serving: true, terminating: true } })]);
    await until(
      'the ending endpoint',
      () => tcp(podB, '10.43.1.1', 80),
      (a) => a === `a ${ipB}`,
    );
  });

  test('is gone when deleted', async () => {
    await node.ask('remove', { plural: 'services', key: 'default/web' });
    const table = () => Promise.resolve(inside(node.netns, 'nft', 'list', 'table', 'ip', 'k3ts'));
    const rules = await until('no trace', table, (t) => !t.includes('default/web/'));
    expect(rules).not.toContain('10.43.1.1 ');
  });
});

describe('UDP', () => {
  const spec: ServiceSpec = { clusterIP: '10.43.1.3', ports: [{ name: 'q', port: 5300, targetPort: 8080, protocol: 'UDP' }] };
  test('clients move when their endpoint goes', async () => {
    await service('udp', spec, [at(ipA)]);
    await until(
      'endpoint a',
      () => udp(podB, '10.43.1.3', 5300, 40_000),
      (a) => a.startsWith('a '),
    );
    await service('udp', spec, [at(ipB)]);
    await until(
      'endpoint b from the same port',
      () => udp(host, '10.43.1.3', 5300, 40_001),
      (a) => a.startsWith('b '),
    );
    const last = await until(
      'endpoint b from the same port',
      () => udp(podA, '10.43.1.3', 5300, 40_000),
      (a) => a.startsWith('b '),
    );
    expect(last).toContain(' ');
  });
});

describe('a NodePort service', () => {
  const spec: ServiceSpec = {
    type: 'NodePort',
    clusterIP: '10.43.1.4',
    externalIPs: ['198.51.100.7'],
    ports: [{ name: 'web', port: 80, targetPort: 8080, nodePort: 30_080 }],
  };
  test('answers from outside, from the node, on 127.0.0.1 and from pods', async () => {
    await service('np', spec, [at(ipA)]);
    await until(
      'an answer',
      () => tcp(outside, nodeIp, 30_080),
      (a) => a.startsWith('a '),
    );
    expect(nameOf(await tcp(host, nodeIp, 30_080))).toBe('a');
    expect(nameOf(await tcp(host, '127.0.0.1', 30_080))).toBe('a');
    expect(nameOf(await tcp(podB, nodeIp, 30_080))).toBe('a');
    expect(nameOf(await tcp(podA, nodeIp, 30_080))).toBe('a');
  });
  test('answers on external addresses that are routed to the node', async () => {
    inside(outside.netns, 'ip', 'route', 'add', '198.51.100.0/24', 'via', nodeIp);
    expect(nameOf(await tcp(outside, '198.51.100.7', 80))).toBe('a');
  });
  test('with the policy Local keeps the client’s address, and drops where no endpoint is on the node', async () => {
    await service('np', { ...spec, externalTrafficPolicy: 'Local' }, [at(ipA), at('10.42.9.9', { nodeName: 'n2' })]);
    await until(
      'client address',
      () => tcp(outside, nodeIp, 30_080),
      (a) => a === `a ${outsideIp}`,
    );
    await service('np', { ...spec, externalTrafficPolicy: 'Local' }, [at(ipB, { nodeName: 'n2' })]);
    await until(
      'silence',
      () => tcp(outside, nodeIp, 30_080),
      (a) => a === 'timeout',
    );
    expect(nameOf(await tcp(podA, '10.43.1.4', 80))).toBe('b');
    expect(nameOf(await tcp(podA, nodeIp, 30_080))).toBe('b');
  });
  test('tells load balancers on its health check port whether it has endpoints here', async () => {
    const local: ServiceSpec = { ...spec, type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30_082 };
    const ask = () => outside.ask<string>('tcp', { host: nodeIp, port: 30_082, send: 'GET /healthz HTTP/1.0\r\n\r\n' });
    await service('np', local, [at(ipB, { nodeName: 'n2' })]);
    await until('no endpoints', ask, (a) => a.startsWith('HTTP/1.1 503'));
    await service('np', local, [at(ipA)]);
    const answer = await until('an endpoint', ask, (a) => a.startsWith('HTTP/1.1 200'));
    expect(answer).toContain('{"service":{"namespace":"default","name":"np"},"localEndpoints":1,"serviceProxyHealthy":true}');
  });
  test('refuses while it has no endpoints', async () => {
    await service('np', spec, []);
    const last = await until(
      'refusal',
      () => tcp(outside, nodeIp, 30_080),
      (a) => a === 'ECONNREFUSED',
    );
    expect(last).toBe('ECONNREFUSED');
  });
});

describe('a LoadBalancer service', () => {
  test('answers on its address, to those in the source ranges only', async () => {
    const spec: ServiceSpec = { type: 'LoadBalancer', clusterIP: '10.43.1.5', ports: [{ port: 80, targetPort: 8080, nodePort: 30_081 }] };
    const status = { loadBalancer: { ingress: [{ ip: '198.51.100.8', ipMode: 'VIP' }] } };
    await service('lb', spec, [at(ipA)], status);
    await until(
      'an answer',
      () => tcp(outside, '198.51.100.8', 80),
      (a) => a.startsWith('a '),
    );
    await service('lb', { ...spec, loadBalancerSourceRanges: ['203.0.113.0/24'] }, [at(ipA)], status);
    await until(
      'silence',
      () => tcp(outside, '198.51.100.8', 80),
      (a) => a === 'timeout',
    );
    await service('lb', { ...spec, loadBalancerSourceRanges: [`${outsideIp}/32`] }, [at(ipA)], status);
    const last = await until(
      'an answer',
      () => tcp(outside, '198.51.100.8', 80),
      (a) => a.startsWith('a '),
    );
    expect(last).toContain(' ');
  });
});

describe('policies and affinity', () => {
  test('internalTrafficPolicy Local uses endpoints of the node only', async () => {
    const spec: ServiceSpec = { clusterIP: '10.43.1.6', internalTrafficPolicy: 'Local', ports: [{ port: 80, targetPort: 8080 }] };
    await service('itp', spec, [at(ipA), at(ipB, { nodeName: 'n2' })]);
    await until(
      'endpoint a',
      () => tcp(podB, '10.43.1.6', 80),
      (a) => a.startsWith('a '),
    );
    const answers = await Promise.all(Array.from({ length: 10 }, () => tcp(podB, '10.43.1.6', 80)));
    expect(new Set(answers)).toEqual(new Set([`a ${ipB}`]));
    expect(nameOf(await tcp(host, '10.43.1.6', 80))).toBe('a');
  });
  test('session affinity keeps a client on its endpoint', async () => {
    const spec: ServiceSpec = { clusterIP: '10.43.1.7', sessionAffinity: 'ClientIP', ports: [{ port: 80, targetPort: 8080 }] };
    await service('aff', spec, [at(ipA), at(ipB)]);
    const first = await until(
      'an answer',
      () => tcp(host, '10.43.1.7', 80),
      (a) => /^[ab] /.test(a),
    );
    const answers = await Promise.all(Array.from({ length: 20 }, () => tcp(host, '10.43.1.7', 80)));
    expect(new Set(answers.map(nameOf))).toEqual(new Set([nameOf(first)]));
    const other = nameOf(first) === 'a' ? ipB : ipA;
    await service('aff', spec, [at(other)]);
    await until(
      'the other endpoint',
      () => tcp(host, '10.43.1.7', 80),
      (a) => /^[ab] /.test(a) && nameOf(a) !== nameOf(first),
    );
  });
});

describe('cluster DNS', () => {
  test('names services and headless endpoints to pods and to the node, by UDP', async () => {
    await service('dns-web', { clusterIP: '10.43.1.8', ports: [{ name: 'http', port: 80, targetPort: 8080 }] }, [at(ipA)]);
    await service('db', { clusterIP: 'None', ports: [{ name: 'sql', port: 5432 }] }, [
      at(ipA, { hostname: 'db-0' }),
      at(ipB, { hostname: 'db-1' }),
    ]);
    const name = 'dns-web.default.svc.cluster.local';
    expect(
      await until(
        'the name',
        () => dns(podA, name),
        (a) => a !== 'ENOTFOUND',
      ),
    ).toBe('["10.43.1.8"]');
    expect(await dns(host, name)).toBe('["10.43.1.8"]');
    expect(
      await until(
        'db-1',
        () => dns(podA, 'db-1.db.default.svc.cluster.local'),
        (a) => a !== 'ENOTFOUND',
      ),
    ).toBe(`["${ipB}"]`);
    expect((JSON.parse(await dns(podA, 'db.default.svc.cluster.local')) as string[]).sort()).toEqual([ipA, ipB].sort());
    expect(await dns(podA, '_http._tcp.dns-web.default.svc.cluster.local', 'SRV')).toContain('"port":80');
    expect(await dns(podA, '8.1.43.10.in-addr.arpa', 'PTR')).toBe(`["${name}"]`);
    expect(await dns(podA, 'n1', 'A')).toBe(`["${nodeIp}"]`);
    expect(await dns(podA, 'nothing.default.svc.cluster.local')).toBe('ENOTFOUND');
    expect(await dns(podA, name, 'AAAA')).toBe('ENODATA');
  });
});

describe('network policies', () => {
  const pod = (name: string, ip: string, labels: Readonly<Record<string, string>>, node = 'n1') =>
    put('pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels, creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { nodeName: node, containers: [{ name: 'c', ports: [{ name: 'web', containerPort: 8080 }] }] },
      status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
    });
  const policy = (name: string, spec: NetworkPolicySpec) =>
    put('networkpolicies', {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name, namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' },
      spec,
    });
  const toA = { podSelector: { matchLabels: { app: 'a' } } };
  const reaches = (from: Worker, ip: string, yes: boolean) =>
    until(
      `${from.name} ${yes ? 'reaches' : 'does not reach'} ${ip}`,
      () => tcp(from, ip, 8080),
      (a) => (a === 'timeout') !== yes,
    );
  const drop = (name: string) => node.ask('remove', { plural: 'networkpolicies', key: `default/${name}` });

  test('isolate a pod from all but its node, also behind a service, and let go again', async () => {
    await put('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default', labels: { team: 'x' } } });
    await pod('a', ipA, { app: 'a' });
    await pod('b', ipB, { app: 'b' });
    await service('guarded', { type: 'NodePort', clusterIP: '10.43.1.20', ports: [{ port: 80, targetPort: 8080, nodePort: 30_090 }] }, [
      at(ipA),
    ]);
    await until(
      'the service',
      () => tcp(podB, '10.43.1.20', 80),
      (a) => a.startsWith('a '),
    );
    await policy('deny', { ...toA, policyTypes: ['Ingress'] });
    await reaches(podB, ipA, false);
    expect(await tcp(podB, '10.43.1.20', 80)).toBe('timeout');
    expect(await tcp(outside, nodeIp, 30_090)).toBe('timeout');
    expect(nameOf(await tcp(host, ipA, 8080))).toBe('a');
    expect(nameOf(await tcp(podA, ipB, 8080))).toBe('b');
    expect(nameOf(await tcp(podA, '10.43.1.20', 80))).toBe('a');
    await drop('deny');
    expect(nameOf(await reaches(podB, ipA, true))).toBe('a');
  });

  test('let in whom they name: by pod, by namespace, by address, by port', async () => {
    const from = (peer: NetworkPolicyPeer, ports: readonly NetworkPolicyPort[] = []) =>
      policy('allow', { ...toA, policyTypes: ['Ingress'], ingress: [{ from: [peer], ports }] });
    await from({ podSelector: { matchLabels: { app: 'c' } } });
    await reaches(podB, ipA, false);
    await pod('b', ipB, { app: 'c' });
    await reaches(podB, ipA, true);
    await from({ namespaceSelector: { matchLabels: { team: 'y' } } });
    await reaches(podB, ipA, false);
    await put('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default', labels: { team: 'y' } } });
    await reaches(podB, ipA, true);
    await from({ ipBlock: { cidr: '10.42.0.0/16', except: [`${ipB}/32`] } });
    await reaches(podB, ipA, false);
    await from({ ipBlock: { cidr: `${ipB}/32` } }, [{ port: 8000, endPort: 8090 }]);
    await reaches(podB, ipA, true);
    await from({ podSelector: {} }, [{ port: 9090 }]);
    await reaches(podB, ipA, false);
    await from({ podSelector: {} }, [{ port: 'web' }]);
    expect(nameOf(await reaches(podB, ipA, true))).toBe('a');
    await drop('allow');
  });

  test('keep a pod in, but for its node, cluster DNS and what they name', async () => {
    await policy('out', {
      podSelector: { matchLabels: { app: 'c' } },
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: `${outsideIp}/32` } }] }],
    });
    await reaches(podB, ipA, false);
    expect(nameOf(await tcp(podB, outsideIp, 8080))).toBe('outside');
    expect(await dns(podB, 'dns-web.default.svc.cluster.local')).toBe('["10.43.1.8"]');
    await drop('out');
    expect(nameOf(await reaches(podB, ipA, true))).toBe('a');
  });
});

describe('other nodes', () => {
  const other = (podCidr: string, address: string) =>
    put('nodes', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n2', creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { podCIDR: podCidr, podCIDRs: [podCidr] },
      status: { addresses: [{ type: 'InternalIP', address }] },
    });
  const routes = () => Promise.resolve(inside(node.netns, 'ip', 'route'));

  test('have their pods reached through them, under the pods’ own addresses', async () => {
    inside(outside.netns, 'ip', 'address', 'add', '10.42.7.7/32', 'dev', 'lo');
    inside(outside.netns, 'ip', 'route', 'add', '10.42.0.0/24', 'via', nodeIp);
    await other('10.42.7.0/24', outsideIp);
    await until('the route', routes, (r) => r.includes('10.42.7.0/24'));
    expect(await tcp(podA, '10.42.7.7', 8080)).toBe(`outside ${ipA}`);
  });
  test('take their routes along when they change or go', async () => {
    await other('10.42.8.0/24', outsideIp);
    await until('the new route', routes, (r) => r.includes('10.42.8.0/24') && !r.includes('10.42.7.0/24'));
    await node.ask('remove', { plural: 'nodes', key: '/n2' });
    expect(await until('no route', routes, (r) => !r.includes('10.42.8.0/24'))).toContain('10.43.0.0/16');
  });
});

describe('the table', () => {
  test('comes back after somebody flushed it', async () => {
    await service('flush', { clusterIP: '10.43.1.9', ports: [{ port: 80, targetPort: 8080 }] }, [at(ipA)]);
    await until(
      'an answer',
      () => tcp(podB, '10.43.1.9', 80),
      (a) => a.startsWith('a '),
    );
    inside(node.netns, 'nft', 'flush', 'ruleset');
    await service('flush', { clusterIP: '10.43.1.9', ports: [{ port: 81, targetPort: 8080 }] }, [at(ipA)]);
    await until(
      'an answer',
      () => tcp(podB, '10.43.1.9', 81),
      (a) => a.startsWith('a '),
    );
    const last = await until(
      'the other services',
      () => tcp(podB, '10.43.1.8', 80),
      (a) => a.startsWith('a '),
    );
    expect(last).toContain(' ');
  });
  test('and services stay when the network stops; cleaning up removes all that was made', async () => {
    await node.ask('stop');
    expect(nameOf(await tcp(podB, '10.43.1.9', 81))).toBe('a');
    await node.ask('cleanUp', { paths });
    await node.ask('cleanUp', { paths });
    expect(inside(node.netns, 'nft', 'list', 'tables')).toBe('');
    const links = inside(node.netns, 'ip', '-o', 'link');
    expect(links).not.toMatch(/cni0|k3ts-dns0/);
  });
});
