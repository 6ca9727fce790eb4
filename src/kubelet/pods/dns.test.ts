import { expect, test } from 'vitest';
import { parseResolvConf, podDns } from './dns.ts';
import { testPod } from './fixtures.ts';
import { hostNetworkHosts, podHostname, podHosts } from './hosts.ts';

const host = parseResolvConf('# made by hand\nnameserver 1.1.1.1\nsearch lan.\noptions timeout:2\n');
const cluster = { servers: ['10.43.0.10'], domain: 'cluster.local' };
const clusterConfig = {
  servers: ['10.43.0.10'],
  searches: ['ns.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'lan'],
  options: ['ndots:5'],
};

test.each([
  ['a plain pod asks the cluster', {}, clusterConfig],
  ['in the network of the node, the node is asked', { hostNetwork: true }, host],
  ['ClusterFirstWithHostNet asks the cluster there too', { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }, clusterConfig],
  ['Default is the configuration of the node', { dnsPolicy: 'Default' }, host],
  [
    'None is what the pod says',
    {
      dnsPolicy: 'None',
      dnsConfig: { nameservers: ['9.9.9.9'], searches: ['a'], options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }] },
    },
    { servers: ['9.9.9.9'], searches: ['a'], options: ['ndots:2', 'edns0'] },
  ],
])('%s', (_, spec, expected) => {
  expect(podDns(testPod(spec), cluster, host)).toEqual(expected);
});

test('what the pod adds comes after, its options replace, and nothing is there twice', () => {
  const pod = testPod({
    dnsConfig: { nameservers: ['10.43.0.10', '9.9.9.9'], searches: ['lan', 'x'], options: [{ name: 'ndots', value: '1' }] },
  });
  expect(podDns(pod, cluster, host)).toEqual({
    servers: ['10.43.0.10', '9.9.9.9'],
    searches: [...clusterConfig.searches, 'x'],
    options: ['ndots:1'],
  });
});

test('a pod has its name as host name, cut to what a name may be', () => {
  expect(podHostname(testPod({}, { name: `${'a'.repeat(62)}-b` }), 'cluster.local').hostname).toBe('a'.repeat(62));
  const sub = testPod({ hostname: 'db-0', subdomain: 'db' });
  expect(podHostname(sub, 'cluster.local')).toEqual({ hostname: 'db-0', fqdn: 'db-0.db.ns.svc.cluster.local' });
});

test('the hosts file names the pod and its aliases', () => {
  const pod = testPod({ hostname: 'db-0', subdomain: 'db', hostAliases: [{ ip: '1.2.3.4', hostnames: ['a', 'b'] }] });
  const text = podHosts(pod, ['10.42.0.5'], 'cluster.local');
  expect(text).toContain('10.42.0.5\tdb-0.db.ns.svc.cluster.local\tdb-0\n');
  expect(text).toContain('# Entries added by HostAliases.\n1.2.3.4\ta\tb\n');
  expect(hostNetworkHosts('127.0.0.1 node\n', pod)).toContain('127.0.0.1 node\n\n# Entries added by HostAliases.');
});
