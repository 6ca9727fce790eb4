import { join } from 'node:path';
import type { KubeletPaths } from '#kubelet/pods/names.ts';
import { defaultDataDir } from './flags.ts';

export interface NodePaths {
  /** <data dir>/agent: the node's identity. */
  readonly agent: string;
  readonly etc: string;
  readonly images: string;
  readonly containerd: string;
  /** Sockets and pipes. */
  readonly run: string;
  readonly containerdRun: string;
  readonly cniConf: string;
  readonly cniData: string;
  readonly kubelet: KubeletPaths;
}

/**
 * Where a node keeps things. With the default data directory sockets, pods and logs are where Kubernetes' users and log
 * collectors expect them; with another one everything is below it, so that several nodes can share a machine.
 */
export function nodePaths(dataDir: string, resolvConf: string): NodePaths {
  const standard = dataDir === defaultDataDir;
  const agent = join(dataDir, 'agent');
  const run = standard ? '/run/k3ts' : join(dataDir, 'run');
  const log = standard ? '/var/log' : join(agent, 'log');
  return {
    agent,
    etc: join(agent, 'etc'),
    images: join(agent, 'images'),
    containerd: join(agent, 'containerd'),
    run,
    containerdRun: join(run, 'containerd'),
    cniConf: join(agent, 'etc/cni/net.d'),
    cniData: join(agent, 'cni'),
    kubelet: {
      root: standard ? '/var/lib/kubelet' : join(agent, 'kubelet'),
      podLogs: join(log, 'pods'),
      containerLogs: join(log, 'containers'),
      manifests: join(agent, 'pod-manifests'),
      resolvConf,
      hosts: '/etc/hosts',
    },
  };
}
