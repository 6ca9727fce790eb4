/** IPAddress objects: one for each address that a service holds, as kube-apiserver keeps them. The allocator's memory is what counts. */
import type { IPAddress } from '#kube/generated/networking-v1.ts';
import type { KubeObject } from '#kube/object.ts';
import { ipAddresses, services } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { Logger } from '#platform/log.ts';
import type { ObjectStore } from '../contract.ts';
import { familyOf } from './cluster-ips.ts';
import { ipsOf } from './services.ts';

const managedBy = 'ipaddress.kubernetes.io/managed-by';
const manager = 'ipallocator.k8s.io';

function addressOf(ip: string, service: KubeObject): IPAddress {
  const { namespace = '', name = '' } = service.metadata;
  return {
    kind: 'IPAddress',
    apiVersion: 'networking.k8s.io/v1',
    metadata: { name: ip, labels: { 'ipaddress.kubernetes.io/ip-family': familyOf(ip), [managedBy]: manager } },
    spec: { parentRef: { group: '', resource: 'services', namespace, name } },
  };
}

export interface IpAddressKeeper {
  readonly changed: (service: KubeObject, added: readonly string[], removed: readonly string[]) => void;
  /** Makes the objects agree with the services. */
  readonly repair: () => Promise<void>;
  /** Waits for what is under way. */
  readonly settled: () => Promise<void>;
}

export function createIpAddressKeeper(objects: () => ObjectStore, log: Logger): IpAddressKeeper {
  let last: Promise<void> = Promise.resolve();
  const create = async (ip: string, service: KubeObject): Promise<void> => {
    try {
      await objects().create(ipAddresses, addressOf(ip, service));
    } catch (error) {
      if (!isStatus(error, 'AlreadyExists')) throw error;
    }
  };
  return {
    changed: (service, added, removed) => {
      last = last
        .then(async () => {
          for (const ip of removed) await objects().remove(ipAddresses, '', ip);
          for (const ip of added) await create(ip, service);
        })
        .catch((error: unknown) => log.warn('IPAddress objects are behind', { error }));
    },
    repair: async () => {
      const wanted = new Map(
        objects()
          .list(services, '')
          .flatMap((s) => ipsOf(s).map((ip) => [ip, s] as const)),
      );
      for (const address of objects().list(ipAddresses, ''))
        if (address.metadata.labels?.[managedBy] === manager && !wanted.delete(address.metadata.name))
          await objects().remove(ipAddresses, '', address.metadata.name);
      for (const [ip, service] of wanted) await create(ip, service);
    },
    settled: () => last,
  };
}
