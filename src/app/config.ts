/** The decoded configuration of `k3ts server` and `k3ts agent`. */
import { readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { type Cidr, cidrAddress, cidrContains, cidrSize, cidrsOverlap, parseCidr } from '#lib/cidr.ts';
import { OptionError, type Options } from './options.ts';

export interface NodeConfig {
  readonly name: string;
  readonly ip: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly { readonly key: string; readonly value: string; readonly effect: string }[];
  readonly kubeletArgs: ReadonlyMap<string, string>;
  readonly resolvConf: string;
}

export interface CommonConfig {
  readonly dataDir: string;
  readonly debug: boolean;
  readonly token: string | undefined;
  readonly node: NodeConfig;
}

export interface ServerConfig extends CommonConfig {
  readonly bindAddress: string;
  readonly port: number;
  readonly advertiseAddress: string;
  readonly tlsSans: readonly string[];
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  readonly nodePorts: { readonly first: number; readonly last: number };
  readonly clusterDns: string;
  readonly clusterDomain: string;
  readonly kubeconfig: string;
  readonly kubeconfigMode: number;
  readonly disableAgent: boolean;
  readonly apiserverArgs: ReadonlyMap<string, string>;
  /** How Secrets are encrypted from the first start on; absent: as `k3ts secrets-encrypt` says. */
  readonly secretsEncryption: 'aescbc' | 'secretbox' | undefined;
}

export interface AgentConfig extends CommonConfig {
  readonly server: string;
  readonly token: string;
}

const text = (options: Options, name: string): string | undefined => {
  const value = options.get(name);
  return value === undefined ? undefined : String(value);
};

const list = (options: Options, name: string): readonly string[] => {
  const value = options.get(name);
  return Array.isArray(value) ? value.map(String) : [];
};

/** key=value pairs; a leading "--" is allowed, as in K3s. The last of several wins. */
function pairs(options: Options, name: string): Map<string, string> {
  return new Map(
    list(options, name).map((pair) => {
      const bare = pair.replace(/^--/, '');
      const equals = bare.indexOf('=');
      return [bare.slice(0, equals), bare.slice(equals + 1)];
    }),
  );
}

/** The address that the default route would use, or failing that any address that is not loopback. */
function hostAddress(): string | undefined {
  const interfaces = networkInterfaces();
  let device: string | undefined;
  try {
    const routes = readFileSync('/proc/net/route', 'utf8').split('\n').slice(1);
    device = routes.map((line) => line.split('\t')).find((c) => c[1] === '00000000')?.[0];
  } catch {
    device = undefined;
  }
  const own = /^(cni|veth|k3ts|docker|flannel|br-)/;
  const names = [...(device === undefined ? [] : [device]), ...Object.keys(interfaces).filter((n) => !own.test(n))];
  for (const name of names) {
    const found = interfaces[name]?.find((a) => a.family === 'IPv4' && !a.internal);
    if (found !== undefined) return found.address;
  }
  return undefined;
}

function nodeConfig(options: Options): NodeConfig {
  const labels = Object.fromEntries(pairs(options, 'node-label'));
  const taints = list(options, 'node-taint').map((t) => {
    const colon = t.lastIndexOf(':');
    const [key = '', value = ''] = t.slice(0, colon).split('=');
    return { key, value, effect: t.slice(colon + 1) };
  });
  // A machine with no network but loopback still makes a working one-node cluster.
  const ip = text(options, 'node-ip') ?? hostAddress() ?? '127.0.0.1';
  return {
    name: text(options, 'node-name') ?? hostname().toLowerCase(),
    ip,
    labels,
    taints,
    kubeletArgs: pairs(options, 'kubelet-arg'),
    resolvConf: text(options, 'resolv-conf') ?? '/etc/resolv.conf',
  };
}

/** --token, or what --token-file holds. Throws OptionError for a file that cannot be read. */
export function tokenOf(options: Options): string | undefined {
  const token = text(options, 'token');
  const file = text(options, 'token-file');
  if (token !== undefined || file === undefined) return token;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new OptionError(`token-file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const commonConfig = (options: Options): CommonConfig => ({
  dataDir: text(options, 'data-dir') ?? '',
  debug: options.get('debug') === true,
  token: tokenOf(options),
  node: nodeConfig(options),
});

function networkOf(options: Options, name: string): Cidr {
  const cidr = parseCidr(text(options, name) ?? '');
  if (cidr === undefined) throw new OptionError(`${name}: is not a network`);
  return cidr;
}

function secretsEncryptionOf(options: Options): ServerConfig['secretsEncryption'] {
  if (options.get('secrets-encryption') !== true) return undefined;
  return text(options, 'secrets-encryption-provider') === 'secretbox' ? 'secretbox' : 'aescbc';
}

/** Throws OptionError when settings contradict each other. */
export function serverConfig(options: Options): ServerConfig {
  const common = commonConfig(options);
  const cluster = networkOf(options, 'cluster-cidr');
  const service = networkOf(options, 'service-cidr');
  if (cluster.family !== service.family) throw new OptionError('cluster-cidr and service-cidr must both be IPv4 or both be IPv6');
  if (cidrsOverlap(cluster, service)) throw new OptionError('cluster-cidr and service-cidr overlap');
  if (cidrSize(service) < 16n) throw new OptionError('service-cidr: holds fewer than 16 addresses');
  if (cluster.family === 4 && cluster.prefix > 24) throw new OptionError("cluster-cidr: is smaller than one node's /24");
  const clusterDns = text(options, 'cluster-dns') ?? cidrAddress(service, 10n);
  if (!cidrContains(service, clusterDns)) throw new OptionError(`cluster-dns: ${clusterDns} is not in service-cidr`);
  const [first = 0, last = 0] = (text(options, 'service-node-port-range') ?? '').split('-').map(Number);
  if (first < 1 || last > 65535 || last < first) throw new OptionError('service-node-port-range: is not a range of ports');
  return {
    ...common,
    bindAddress: text(options, 'bind-address') ?? '0.0.0.0',
    port: Number(options.get('https-listen-port')),
    advertiseAddress: text(options, 'advertise-address') ?? common.node.ip,
    tlsSans: list(options, 'tls-san'),
    clusterCidr: text(options, 'cluster-cidr') ?? '',
    serviceCidr: text(options, 'service-cidr') ?? '',
    nodePorts: { first, last },
    clusterDns,
    clusterDomain: text(options, 'cluster-domain') ?? '',
    kubeconfig: text(options, 'write-kubeconfig') ?? '',
    kubeconfigMode: Number.parseInt(text(options, 'write-kubeconfig-mode') ?? '', 8),
    disableAgent: options.get('disable-agent') === true,
    apiserverArgs: pairs(options, 'kube-apiserver-arg'),
    secretsEncryption: secretsEncryptionOf(options),
  };
}

/** Throws OptionError when the server or the token is missing. */
export function agentConfig(options: Options): AgentConfig {
  const common = commonConfig(options);
  const server = text(options, 'server');
  if (server === undefined) throw new OptionError('--server is required, e.g. --server https://host:6443');
  if (common.token === undefined)
    throw new OptionError('--token is required: the server keeps it in /var/lib/rancher/k3ts/server/node-token');
  return { ...common, server: server.replace(/\/+$/, ''), token: common.token };
}

/** Where things are below the data directory: K3s' layout. */
export function paths(dataDir: string): {
  readonly server: string;
  readonly tls: string;
  readonly credentials: string;
  readonly database: string;
  readonly token: string;
  readonly nodeToken: string;
  readonly agent: string;
} {
  const server = join(dataDir, 'server');
  return {
    server,
    tls: join(server, 'tls'),
    credentials: join(server, 'cred'),
    database: join(server, 'db', 'state.db'),
    token: join(server, 'token'),
    nodeToken: join(server, 'node-token'),
    agent: join(dataDir, 'agent'),
  };
}
