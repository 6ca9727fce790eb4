/**
 * Every flag of `k3ts server` and `k3ts agent`, as data: the command line (cli/), the configuration file, the
 * environment and the help text are all made from this table. Names, defaults and meaning follow K3s where it has them.
 */
import { parseCidr, parseIp } from '#lib/cidr.ts';

export type FlagValue = string | number | boolean | readonly string[];

export interface Flag {
  readonly name: string;
  readonly alias?: string;
  readonly kind: 'string' | 'integer' | 'boolean' | 'list';
  readonly default?: FlagValue;
  readonly description: string;
  /** Environment variable that sets it where neither the command line nor a file does. */
  readonly env?: string;
  /** Which commands take it. */
  readonly of: 'server' | 'agent' | 'both';
  /** What is wrong with a value, or undefined. Lists are checked element by element. */
  readonly check?: (value: string) => string | undefined;
}

const address = (v: string): string | undefined => (parseIp(v) === undefined ? 'is not an IP address' : undefined);
const network = (v: string): string | undefined => (parseCidr(v) === undefined ? 'is not a network such as 10.42.0.0/16' : undefined);
const port = (v: string): string | undefined => (Number(v) >= 1 && Number(v) <= 65535 ? undefined : 'is not a port between 1 and 65535');
const argument = (v: string): string | undefined => (/^(--)?[a-z][a-z0-9-]*=/.test(v) ? undefined : 'is not of the form key=value');
const absolute = (v: string): string | undefined => (v.startsWith('/') ? undefined : 'is not an absolute path');
const mode = (v: string): string | undefined => (/^0?[0-7]{3}$/.test(v) ? undefined : 'is not a file mode such as 0600');
const nodeName = (v: string): string | undefined =>
  v.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(v)
    ? undefined
    : 'is not a valid node name: lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit';
const dnsName = (v: string): string | undefined =>
  address(v) === undefined || /^(\*\.)?[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*\.?$/.test(v)
    ? undefined
    : 'is neither a host name nor an IP address';
const label = (v: string): string | undefined =>
  /^([a-z0-9.-]+\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?=[-A-Za-z0-9_.]*$/.test(v) ? undefined : 'is not of the form key=value';
const taint = (v: string): string | undefined =>
  /^[^=:]+(=[^:]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$/.test(v) ? undefined : 'is not of the form key=value:Effect';
const serverUrl = (v: string): string | undefined => {
  if (!URL.canParse(v)) return 'is not a URL such as https://host:6443';
  return new URL(v).protocol === 'https:' ? undefined : 'must be an https URL';
};

export const defaultDataDir = '/var/lib/rancher/k3ts';
export const defaultConfigFile = '/etc/rancher/k3ts/config.yaml';
export const defaultKubeconfig = '/etc/rancher/k3ts/k3ts.yaml';

export const flags: readonly Flag[] = [
  {
    name: 'config',
    alias: 'c',
    kind: 'string',
    of: 'both',
    default: defaultConfigFile,
    env: 'K3TS_CONFIG_FILE',
    description: 'Configuration file; files in the folder <file>.d are read after it, in order',
  },
  {
    name: 'data-dir',
    alias: 'd',
    kind: 'string',
    of: 'both',
    default: defaultDataDir,
    env: 'K3TS_DATA_DIR',
    check: absolute,
    description: 'Folder that holds state',
  },
  { name: 'debug', kind: 'boolean', of: 'both', default: false, env: 'K3TS_DEBUG', description: 'Log more' },
  {
    name: 'token',
    alias: 't',
    kind: 'string',
    of: 'both',
    env: 'K3TS_TOKEN',
    description: 'Shared secret with which nodes join the cluster',
  },
  { name: 'token-file', kind: 'string', of: 'both', env: 'K3TS_TOKEN_FILE', check: absolute, description: 'File that holds the token' },
  {
    name: 'server',
    alias: 's',
    kind: 'string',
    of: 'agent',
    env: 'K3TS_URL',
    check: serverUrl,
    description: 'Server to join, e.g. https://host:6443',
  },

  { name: 'bind-address', kind: 'string', of: 'server', default: '0.0.0.0', check: address, description: 'Address to listen on' },
  { name: 'https-listen-port', kind: 'integer', of: 'server', default: 6443, check: port, description: 'Port to listen on' },
  {
    name: 'advertise-address',
    kind: 'string',
    of: 'server',
    check: address,
    description: 'Address at which nodes and pods reach this server (default: node-ip)',
  },
  {
    name: 'tls-san',
    kind: 'list',
    of: 'server',
    check: dnsName,
    description: 'Further host name or address for the serving certificate; may be repeated',
  },
  { name: 'cluster-cidr', kind: 'string', of: 'server', default: '10.42.0.0/16', check: network, description: 'Network for pods' },
  { name: 'service-cidr', kind: 'string', of: 'server', default: '10.43.0.0/16', check: network, description: 'Network for services' },
  {
    name: 'service-node-port-range',
    kind: 'string',
    of: 'server',
    default: '30000-32767',
    check: (v) => (/^\d+-\d+$/.test(v) ? undefined : 'is not a range such as 30000-32767'),
    description: 'Ports for NodePort services',
  },
  {
    name: 'cluster-dns',
    kind: 'string',
    of: 'server',
    check: address,
    description: 'Address of the cluster DNS service (default: the tenth address of service-cidr)',
  },
  { name: 'cluster-domain', kind: 'string', of: 'server', default: 'cluster.local', check: dnsName, description: 'Domain of the cluster' },
  {
    name: 'write-kubeconfig',
    alias: 'o',
    kind: 'string',
    of: 'server',
    default: defaultKubeconfig,
    env: 'K3TS_KUBECONFIG_OUTPUT',
    check: absolute,
    description: 'Where to write the administrator kubeconfig',
  },
  {
    name: 'write-kubeconfig-mode',
    kind: 'string',
    of: 'server',
    default: '0600',
    env: 'K3TS_KUBECONFIG_MODE',
    check: mode,
    description: 'Mode of that file',
  },
  { name: 'disable-agent', kind: 'boolean', of: 'server', default: false, description: 'Run no node on this machine' },
  {
    name: 'secrets-encryption',
    kind: 'boolean',
    of: 'server',
    default: false,
    description: 'Encrypt Secrets in the database',
  },
  {
    name: 'secrets-encryption-provider',
    kind: 'string',
    of: 'server',
    default: 'aescbc',
    check: (v) => (v === 'aescbc' || v === 'secretbox' ? undefined : 'is neither aescbc nor secretbox'),
    description: 'How they are encrypted: aescbc or secretbox',
  },
  {
    name: 'kube-apiserver-arg',
    kind: 'list',
    of: 'server',
    check: argument,
    description: 'kube-apiserver setting as key=value; may be repeated',
  },

  {
    name: 'node-name',
    kind: 'string',
    of: 'both',
    env: 'K3TS_NODE_NAME',
    check: nodeName,
    description: 'Name of the node (default: the host name)',
  },
  { name: 'node-ip', kind: 'string', of: 'both', check: address, description: 'Address of the node (default: that of the default route)' },
  {
    name: 'node-label',
    kind: 'list',
    of: 'both',
    check: label,
    description: 'Label key=value set when the node registers; may be repeated',
  },
  {
    name: 'node-taint',
    kind: 'list',
    of: 'both',
    check: taint,
    description: 'Taint key=value:Effect set when the node registers; may be repeated',
  },
  { name: 'kubelet-arg', kind: 'list', of: 'both', check: argument, description: 'kubelet setting as key=value; may be repeated' },
  {
    name: 'resolv-conf',
    kind: 'string',
    of: 'both',
    env: 'K3TS_RESOLV_CONF',
    check: absolute,
    description: 'resolv.conf whose name servers pods and the cluster DNS use (default: that of the host)',
  },
];

export const flagsOf = (command: 'server' | 'agent'): readonly Flag[] => flags.filter((f) => f.of === 'both' || f.of === command);
