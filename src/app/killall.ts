/** `k3ts killall`: ends every container of this node and takes down its network. State and images stay. */
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { detectCgroups } from '#kubelet/cgroup-host.ts';
import { createCgroups } from '#kubelet/cgroups.ts';
import { createCri } from '#kubelet/cri/client.ts';
import { podCgroupPath } from '#kubelet/pods/resources.ts';
import { cleanUpNodeNetwork } from '#net/node-network.ts';
import { realExec } from '#platform/exec.ts';
import { createLogger, type Logger } from '#platform/log.ts';
import { flagsOf } from './flags.ts';
import { nodePaths } from './node-paths.ts';
import { OptionError, type OptionSources, resolveOptions } from './options.ts';

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: readonly string[];
}

/** All processes of the machine; those that end meanwhile are left out. */
function processes(): Process[] {
  const found: Process[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      found.push({ pid: Number(entry), parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]), command });
    } catch {
      // It ended.
    }
  }
  return found;
}

/** The shims of the containerd with this socket, with everything that runs below them: the containers. */
function containersOf(socket: string): number[] {
  const all = processes();
  const pids = new Set(all.filter((p) => /containerd-shim/.test(p.command[0] ?? '') && p.command.includes(socket)).map((p) => p.pid));
  for (let grown = true; grown; ) {
    grown = false;
    for (const p of all) {
      if (pids.has(p.parent) && !pids.has(p.pid)) {
        pids.add(p.pid);
        grown = true;
      }
    }
  }
  return [...pids];
}

const containerdOf = (socket: string): number[] =>
  processes()
    .filter((p) => /(^|\/)containerd$/.test(p.command[0] ?? '') && readConfig(p.command).includes(`"${socket}"`))
    .map((p) => p.pid);

function readConfig(command: readonly string[]): string {
  const at = command.indexOf('--config');
  try {
    return at < 0 ? '' : readFileSync(command[at + 1] ?? '', 'utf8');
  } catch {
    return '';
  }
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

function kill(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended.
    }
  }
}

async function gone(pids: readonly number[], withinMs: number): Promise<boolean> {
  for (let waited = 0; pids.some(alive); waited += 50) {
    if (waited > withinMs) return false;
    await sleep(50);
  }
  return true;
}

/** Mounts at or below the folders, deepest first. */
function mountsBelow(folders: readonly string[]): string[] {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) =>
      (line.split(' ')[1] ?? '').replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
    .filter((point) => folders.some((folder) => point === folder || point.startsWith(`${folder}/`)));
  return points.reverse();
}

/** Inode of the network namespace of a process, or of the file that keeps one. */
function namespaceOf(pid: number | 'self'): number | undefined {
  try {
    return Number(/\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[1]);
  } catch {
    return undefined;
  }
}

/** The files in /run/netns that keep the network namespaces of these processes, the machine's own left out. */
function namespaceFiles(pids: readonly number[]): string[] {
  const own = namespaceOf('self');
  const inodes = new Set(pids.map(namespaceOf).filter((inode) => inode !== undefined && inode !== own));
  try {
    return readdirSync('/run/netns')
      .filter((name) => name.startsWith('cni-'))
      .map((name) => join('/run/netns', name))
      .filter((file) => inodes.has(statSync(file).ino));
  } catch {
    return [];
  }
}

/** The orderly way, while containerd answers: it ends the containers and gives their addresses back. */
async function stopSandboxes(socket: string, log: Logger): Promise<void> {
  if (!existsSync(socket)) return;
  const cri = createCri(socket);
  const limit = { timeoutMs: 20_000 };
  try {
    const { items } = await cri.listPodSandbox({}, { timeoutMs: 5000 });
    await Promise.all(
      items.map(async ({ id }) => {
        await cri.stopPodSandbox({ podSandboxId: id }, limit);
        await cri.removePodSandbox({ podSandboxId: id }, limit);
      }),
    );
  } catch (error) {
    log.warn('containerd does not end all pods, they will be killed', { error });
  } finally {
    cri.close();
  }
}

/** The cgroups of the pods whose folders are in `podsFolder`; the folder's entries are their uids. */
async function removeCgroups(podsFolder: string, log: Logger): Promise<void> {
  const uids = existsSync(podsFolder) ? readdirSync(podsFolder) : [];
  const host = await detectCgroups();
  const cgroups = createCgroups(host, { exec: realExec, log });
  for (const uid of uids) {
    for (const tier of ['Guaranteed', 'Burstable', 'BestEffort'] as const) await cgroups.remove(podCgroupPath(tier, uid, host.systemd));
  }
  await cgroups.removeTiers();
}

/** Ends what runs for the node below a data directory. Tells in the log what could not be removed. */
export async function runKillall(sources: OptionSources): Promise<void> {
  if (process.getuid?.() !== 0) throw new OptionError('killall needs root');
  const options = resolveOptions(flagsOf('server'), sources);
  const where = nodePaths(String(options.get('data-dir')), '/etc/resolv.conf');
  const log = createLogger({ debug: options.get('debug') === true });
  const socket = join(where.containerdRun, 'containerd.sock');

  await stopSandboxes(socket, log);
  const daemon = containerdOf(socket);
  kill(daemon, 'SIGTERM');
  if (!(await gone(daemon, 5000))) kill(daemon, 'SIGKILL');
  const containers = containersOf(socket);
  const namespaces = namespaceFiles(containers);
  kill(containers, 'SIGKILL');
  if (!(await gone(containers, 10_000))) log.warn('some containers do not end', { pids: containers.filter(alive) });
  for (const point of [...mountsBelow([where.containerdRun, where.kubelet.root, where.containerd]), ...namespaces]) {
    await realExec('umount', ['-l', point]).catch((error: unknown) => log.warn('cannot unmount', { point, error }));
  }
  await cleanUpNodeNetwork({ exec: realExec, log, paths: { cniConfDir: where.cniConf, cniDataDir: where.cniData, resolvConf: '' } }).catch(
    (error: unknown) => log.warn('the network is not all gone', { error }),
  );
  await removeCgroups(join(where.kubelet.root, 'pods'), log);
  for (const path of [...namespaces, where.containerdRun, join(where.kubelet.root, 'pods')]) rmSync(path, { recursive: true, force: true });
  log.info('containers and network are gone');
}
