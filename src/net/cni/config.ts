/** The CNI configuration that containerd reads: bridge with host-local addresses, port mappings. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface CniOptions {
  /** Default cni0. */
  readonly bridge?: string;
  /** The node's pod networks, one for each family. */
  readonly podCidrs: readonly string[];
  /** Where host-local keeps its leases. */
  readonly dataDir: string;
  /** Absent: the plugin takes it from the interface of the default route. */
  readonly mtu?: number;
}

export const defaultBridge = 'cni0';
export const configName = '10-k3ts.conflist';
/** The name of the network: also the directory of the leases. */
export const networkName = 'k3ts';

/** The conflist. Addresses that leave the cluster are masqueraded by our own table, so the plugin does not (ipMasq). */
export function cniConfig(options: CniOptions): object {
  const routes = options.podCidrs.map((c) => ({ dst: c.includes(':') ? '::/0' : '0.0.0.0/0' }));
  return {
    cniVersion: '1.0.0',
    name: networkName,
    plugins: [
      {
        type: 'bridge',
        bridge: options.bridge ?? defaultBridge,
        isGateway: true,
        forceAddress: true,
        ipMasq: false,
        hairpinMode: true,
        ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
        ipam: { type: 'host-local', ranges: options.podCidrs.map((subnet) => [{ subnet }]), routes, dataDir: options.dataDir },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    ],
  };
}

/** Writes the file as a whole, or not at all when it is the same: containerd reloads on every change of the directory. */
export async function writeCniConfig(confDir: string, options: CniOptions): Promise<boolean> {
  const file = join(confDir, configName);
  const text = `${JSON.stringify(cniConfig(options), undefined, 2)}\n`;
  const old = await readFile(file, 'utf8').catch(() => undefined);
  if (old === text) return false;
  await mkdir(dirname(file), { recursive: true });
  const temporary = join(confDir, `.${configName}.tmp`);
  await writeFile(temporary, text, { mode: 0o644 });
  await rename(temporary, file);
  return true;
}

export async function removeCniConfig(confDir: string): Promise<void> {
  await rm(join(confDir, configName), { force: true });
}
