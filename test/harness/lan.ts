/** A small network of its own: a bridge in one network namespace, and a namespace with an address for each host on it. */
import { randomBytes } from 'node:crypto';
import { type Cleanup, must } from './machine.ts';

export interface Host {
  readonly namespace: string;
  readonly address: string;
  /** The words that run a program in this host's network: put them before the program's own. */
  readonly enter: readonly string[];
}

export interface Lan {
  readonly addHost: (name: string) => Promise<Host>;
  /** Cuts or mends the cable of a host. */
  readonly setLink: (host: Host, up: boolean) => Promise<void>;
}

/** Addresses are 10.99.0.1, .2 and so on; the bridge has .254. */
export async function createLan(cleanup: Cleanup): Promise<Lan> {
  const id = randomBytes(3).toString('hex');
  const hub = `k3ts-${id}-lan`;
  await must('ip', ['netns', 'add', hub]);
  cleanup.add('lan', () => must('ip', ['netns', 'del', hub]));
  const inHub = ['-n', hub];
  await must('ip', [...inHub, 'link', 'set', 'lo', 'up']);
  await must('ip', [...inHub, 'link', 'add', 'br0', 'type', 'bridge']);
  await must('ip', [...inHub, 'addr', 'add', '10.99.0.254/24', 'dev', 'br0']);
  await must('ip', [...inHub, 'link', 'set', 'br0', 'up']);
  const ports = new Map<string, string>();
  let count = 0;
  return {
    addHost: async (name) => {
      count += 1;
      const namespace = `k3ts-${id}-${name}`;
      const port = `p${count}`;
      const address = `10.99.0.${count}`;
      await must('ip', ['netns', 'add', namespace]);
      cleanup.add(`host ${name}`, () => must('ip', ['netns', 'del', namespace]));
      const inside = ['-n', namespace];
      await must('ip', [...inHub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]);
      await must('ip', [...inHub, 'link', 'set', port, 'master', 'br0', 'up']);
      await must('ip', [...inside, 'link', 'set', 'lo', 'up']);
      await must('ip', [...inside, 'addr', 'add', `${address}/24`, 'dev', 'eth0']);
      await must('ip', [...inside, 'link', 'set', 'eth0', 'up']);
      await must('ip', [...inside, 'route', 'add', 'default', 'via', '10.99.0.254']);
      ports.set(namespace, port);
      return { namespace, address, enter: ['nsenter', `--net=/run/netns/${namespace}`] };
    },
    setLink: async (host, up) => {
      await must('ip', [...inHub, 'link', 'set', ports.get(host.namespace) ?? '', up ? 'up' : 'down']);
    },
  };
}
