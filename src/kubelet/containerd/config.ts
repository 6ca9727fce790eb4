/** The configuration file of the containerd that k3ts runs (containerd 1.6, configuration version 2). */

export interface ContainerdSettings {
  /** Kept over reboots: images, snapshots, metadata. */
  readonly root: string;
  /** Sockets and running tasks; gone after a reboot. */
  readonly state: string;
  readonly socket: string;
  readonly sandboxImage: string;
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  /** Holds one folder with a hosts.toml for each registry. */
  readonly registryDir: string;
  readonly systemdCgroup: boolean;
  /** The process may not make processes less likely to be killed than itself (no CAP_SYS_RESOURCE, as inside a container). */
  readonly restrictOomScore: boolean;
  readonly snapshotter?: string;
  /** 127.0.0.1 unless told otherwise: exec, attach and port-forward streams, read by the kubelet only. */
  readonly streamAddress?: string;
}

/** A basic TOML string. */
const text = (value: string): string => JSON.stringify(value);

/** The whole file. Sections follow containerd 1.6's docs/cri/config.md. */
export function containerdConfig(s: ContainerdSettings): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  const lines = [
    'version = 2',
    `root = ${text(s.root)}`,
    `state = ${text(s.state)}`,
    ...(s.restrictOomScore ? [] : ['oom_score = -999']),
    '# Snapshotters for other filesystems, which would only cost memory and warnings here.',
    'disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]',
    '[grpc]',
    `  address = ${text(s.socket)}`,
    '[plugins."io.containerd.internal.v1.opt"]',
    `  path = ${text(`${s.root}/opt`)}`,
    `[${cri}]`,
    `  stream_server_address = ${text(s.streamAddress ?? '127.0.0.1')}`,
    '  stream_server_port = "0"',
    '  stream_idle_timeout = "4h0m0s"',
    `  sandbox_image = ${text(s.sandboxImage)}`,
    '  max_concurrent_downloads = 3',
    `  restrict_oom_score_adj = ${s.restrictOomScore}`,
    '  enable_unprivileged_ports = true',
    '  enable_unprivileged_icmp = true',
    '  device_ownership_from_security_context = false',
    `[${cri}.cni]`,
    `  bin_dir = ${text(s.cniBinDir)}`,
    `  conf_dir = ${text(s.cniConfDir)}`,
    '  max_conf_num = 1',
    `[${cri}.containerd]`,
    `  snapshotter = ${text(s.snapshotter ?? 'overlayfs')}`,
    '  default_runtime_name = "runc"',
    '  discard_unpacked_layers = true',
    `[${cri}.containerd.runtimes.runc]`,
    '  runtime_type = "io.containerd.runc.v2"',
    `[${cri}.containerd.runtimes.runc.options]`,
    `  SystemdCgroup = ${s.systemdCgroup}`,
    `[${cri}.registry]`,
    `  config_path = ${text(s.registryDir)}`,
  ];
  return `${lines.join('\n')}\n`;
}
