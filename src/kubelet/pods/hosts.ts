/** A pod's names and its /etc/hosts: pkg/kubelet/kubelet_pods.go upstream. */
import type { HostAlias, Pod } from '#kube/generated/core-v1.ts';

const maxHostname = 63;

/** The host name of a pod, and its full name where it has a subdomain. */
export function podHostname(pod: Pod, clusterDomain: string): { readonly hostname: string; readonly fqdn: string } {
  const { hostname: own, subdomain, setHostnameAsFQDN, hostnameOverride } = pod.spec ?? {};
  if (hostnameOverride !== undefined && hostnameOverride !== '') return { hostname: hostnameOverride, fqdn: '' };
  const short = own || (pod.metadata.name ?? '').slice(0, maxHostname).replace(/[-.]+$/, '');
  const fqdn = subdomain ? `${short}.${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}` : '';
  return { hostname: setHostnameAsFQDN === true && fqdn !== '' ? fqdn : short, fqdn };
}

function aliasLines(aliases: readonly HostAlias[]): string {
  if (aliases.length === 0) return '';
  const lines = aliases.map((a) => `${a.ip}\t${(a.hostnames ?? []).join('\t')}\n`);
  return `\n# Entries added by HostAliases.\n${lines.join('')}`;
}

/** The managed file of a pod with its own network. */
export function podHosts(pod: Pod, podIps: readonly string[], clusterDomain: string): string {
  const { hostname, fqdn } = podHostname(pod, clusterDomain);
  const short = hostname.split('.')[0] ?? hostname;
  const names = fqdn === '' ? hostname : `${fqdn}\t${short}`;
  return [
    '# Kubernetes-managed hosts file.\n',
    '127.0.0.1\tlocalhost\n',
    '::1\tlocalhost ip6-localhost ip6-loopback\n',
    'fe00::0\tip6-localnet\n',
    'fe00::0\tip6-mcastprefix\n',
    'fe00::1\tip6-allnodes\n',
    'fe00::2\tip6-allrouters\n',
    ...podIps.map((ip) => `${ip}\t${names}\n`),
    aliasLines(pod.spec?.hostAliases ?? []),
  ].join('');
}

/** The file of a pod in the node's network: the node's own, and the aliases. */
export const hostNetworkHosts = (nodeFile: string, pod: Pod): string =>
  `# Kubernetes-managed hosts file (host network).\n${nodeFile}${aliasLines(pod.spec?.hostAliases ?? [])}`;
