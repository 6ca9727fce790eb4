/** Variables that tell a pod where the Services of its namespace are: pkg/kubelet/envvars upstream. */
import type { Service } from '#kube/generated/core-v1.ts';

const envName = (name: string): string => name.replaceAll('-', '_').toUpperCase();
const hostPort = (ip: string, port: number): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);

/**
 * FOO_SERVICE_HOST, FOO_SERVICE_PORT and the Docker link variables of each Service with a cluster address. Services of
 * `namespace` are taken when `links` is set; `kubernetes` of the default namespace always is.
 */
export function serviceEnv(services: readonly Service[], namespace: string, links: boolean): Map<string, string> {
  const env = new Map<string, string>();
  const chosen = new Map<string, Service>();
  for (const service of services) {
    const ip = service.spec?.clusterIP ?? '';
    if (ip === '' || ip === 'None') continue;
    const { name = '' } = service.metadata;
    const own = service.metadata.namespace === namespace;
    if (own && links) chosen.set(name, service);
    else if (service.metadata.namespace === 'default' && name === 'kubernetes' && !chosen.has(name)) chosen.set(name, service);
  }
  for (const [name, service] of [...chosen].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const prefix = envName(name);
    const ip = service.spec?.clusterIP ?? '';
    const ports = service.spec?.ports ?? [];
    const first = ports[0];
    env.set(`${prefix}_SERVICE_HOST`, ip);
    if (first === undefined) continue;
    env.set(`${prefix}_SERVICE_PORT`, String(first.port));
    for (const port of ports) if (port.name) env.set(`${prefix}_SERVICE_PORT_${envName(port.name)}`, String(port.port));
    for (const [i, port] of ports.entries()) {
      const protocol = port.protocol ?? 'TCP';
      const url = `${protocol.toLowerCase()}://${hostPort(ip, port.port)}`;
      if (i === 0) env.set(`${prefix}_PORT`, url);
      const portPrefix = `${prefix}_PORT_${port.port}_${protocol}`;
      env.set(portPrefix, url);
      env.set(`${portPrefix}_PROTO`, protocol.toLowerCase());
      env.set(`${portPrefix}_PORT`, String(port.port));
      env.set(`${portPrefix}_ADDR`, ip);
    }
  }
  return env;
}
