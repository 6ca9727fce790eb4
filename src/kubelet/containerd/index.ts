/** containerd as a supervised, outliving process, with the images that a node needs before its first pull. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import { createCri } from '../cri/client.ts';
import { type ContainerdSettings, containerdConfig } from './config.ts';
import { pauseArchive, pauseImage } from './pause-image.ts';
import { adoptOrStart, endProcess, rotateProcessLog } from './process.ts';

export interface ContainerdOptions {
  /** Kept data, e.g. /var/lib/rancher/k3ts/agent/containerd. */
  readonly dataDir: string;
  /** Sockets and tasks, e.g. /run/k3ts/containerd. */
  readonly runDir: string;
  /** Where config.toml, certs.d and the CNI configuration live, e.g. /var/lib/rancher/k3ts/agent/etc. */
  readonly etcDir: string;
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  /** Archives in here are imported at every start. */
  readonly imagesDir: string;
  /** Folders that hold containerd, its shim, runc and ctr, put before PATH. */
  readonly binDirs?: readonly string[];
  /** The static program of the pause image, e.g. /usr/bin/catatonit. */
  readonly pauseProgram: string;
  readonly systemdCgroup: boolean;
  readonly snapshotter?: string;
}

export interface ContainerdDeps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly log: Logger;
}

export interface Containerd {
  /** Path of the gRPC socket. */
  readonly endpoint: string;
  /** Starts or adopts containerd; resolves when its CRI answers. Images are imported meanwhile. */
  readonly start: () => Promise<void>;
  /** Resolves when the pause image and the archives of `imagesDir` are there: what pods have to wait for. Tries again what failed before. */
  readonly imported: () => Promise<void>;
  /** Without `detach` containerd is ended too; containers go on in either case. Safe to call twice. */
  readonly stop: (options: { readonly detach: boolean }) => Promise<void>;
  readonly notReady: () => string | undefined;
}

const capSysResource = 24n;

/** Whether this process has CAP_SYS_RESOURCE. */
async function mayLowerOomScore(): Promise<boolean> {
  const text = await readFile('/proc/self/status', 'utf8');
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(text)?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> capSysResource) & 1n) === 1n;
}

const goArch: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'arm' };

export function createContainerd(options: ContainerdOptions, deps: ContainerdDeps): Containerd {
  const { clock, exec, log } = deps;
  const endpoint = join(options.runDir, 'containerd.sock');
  const tasks = new TaskGroup();
  const path = [...(options.binDirs ?? []), process.env['PATH'] ?? ''].join(':');
  let pid: number | undefined;
  let notReady: string | undefined = 'containerd has not started';
  let imports: Promise<void> | undefined;

  const settings: Omit<ContainerdSettings, 'restrictOomScore'> = {
    root: options.dataDir,
    state: options.runDir,
    socket: endpoint,
    sandboxImage: pauseImage,
    cniBinDir: options.cniBinDir,
    cniConfDir: options.cniConfDir,
    registryDir: join(options.etcDir, 'certs.d'),
    systemdCgroup: options.systemdCgroup,
    ...(options.snapshotter === undefined ? {} : { snapshotter: options.snapshotter }),
  };
  const configFile = join(options.etcDir, 'containerd.toml');

  async function launch(): Promise<{ readonly ended: Promise<void> }> {
    const config = containerdConfig({ ...settings, restrictOomScore: !(await mayLowerOomScore()) });
    for (const dir of [options.dataDir, options.runDir, options.etcDir, settings.registryDir, options.cniConfDir, options.imagesDir]) {
      await mkdir(dir, { recursive: true, mode: 0o711 });
    }
    await writeFile(configFile, config, { mode: 0o600 });
    const running = await adoptOrStart(
      {
        program: await findProgram('containerd'),
        args: ['--config', configFile],
        env: { PATH: path },
        fingerprint: config,
        pidFile: join(options.runDir, 'containerd.pid.json'),
        logFile: join(options.dataDir, 'containerd.log'),
        socket: endpoint,
      },
      { clock, log, signal: tasks.signal },
    );
    pid = running.pid;
    log.info(running.adopted ? 'adopted the running containerd' : 'started containerd', { pid });
    await awaitCri(running.ended);
    imports = undefined;
    notReady = undefined;
    tasks.spawn(async () => {
      await imported().catch((error: unknown) => log.error('images cannot be imported', { error }));
    });
    return running;
  }

  async function findProgram(name: string): Promise<string> {
    for (const dir of path.split(':')) {
      const entries = await readdir(dir).catch(() => [] as string[]);
      if (entries.includes(name)) return join(dir, name);
    }
    throw new Error(`${name} is not installed: looked in ${path}`);
  }

  async function awaitCri(ended: Promise<void>): Promise<void> {
    const cri = createCri(endpoint);
    let gone = false;
    void ended.then(() => {
      gone = true;
    });
    try {
      for (let waited = 0; ; waited += 50) {
        try {
          await cri.version({}, { timeoutMs: 5000, signal: tasks.signal });
          return;
        } catch (error) {
          if (tasks.signal.aborted || waited > 60_000) throw error;
          if (gone) throw new Error(`containerd ended at once; its log ends with: ${await logTail()}`, { cause: error });
        }
        await clock.sleep(50, tasks.signal);
      }
    } finally {
      cri.close();
    }
  }

  async function logTail(): Promise<string> {
    const text = await readFile(join(options.dataDir, 'containerd.log'), 'utf8').catch(() => '');
    return text.trim().split('\n').slice(-3).join(' | ').slice(-1000);
  }

  async function imported(): Promise<void> {
    imports ??= importImages();
    const mine = imports;
    try {
      await mine;
    } catch (error) {
      if (imports === mine) imports = undefined;
      throw error;
    }
  }

  async function importImages(): Promise<void> {
    const cri = createCri(endpoint);
    try {
      const archive = pauseArchive(await readFile(options.pauseProgram), goArch[arch()] ?? arch());
      const { image } = await cri.imageStatus({ image: { image: pauseImage } });
      if (image?.id !== archive.id) {
        const file = join(options.runDir, 'pause.tar');
        await writeFile(file, archive.bytes);
        await importArchive(file);
        await rm(file, { force: true });
        await awaitImage(cri);
      }
    } finally {
      cri.close();
    }
    await importArchives();
  }

  /** Archives that have not changed since they were imported are not read again. */
  async function importArchives(): Promise<void> {
    const stampFile = join(options.dataDir, 'imported.json');
    const text = await readFile(stampFile, 'utf8').catch(() => '{}');
    const before = JSON.parse(text) as Readonly<Record<string, string>>;
    const after: Record<string, string> = {};
    for (const name of await readdir(options.imagesDir)) {
      if (!/\.(tar|tar\.gz|tgz)$/.test(name)) continue;
      const file = join(options.imagesDir, name);
      const { size, mtimeMs } = await stat(file);
      const mark = `${size} ${mtimeMs}`;
      try {
        if (before[name] !== mark) await importArchive(file);
        after[name] = mark;
      } catch (error) {
        log.error('an image archive cannot be imported', { file: name, error });
      }
    }
    if (JSON.stringify(after) !== text) await writeFile(stampFile, JSON.stringify(after), { mode: 0o600 });
  }

  async function importArchive(file: string): Promise<void> {
    const started = clock.monotonic();
    await exec(
      await findProgram('ctr'),
      ['--address', endpoint, '--namespace', 'k8s.io', 'images', 'import', '--snapshotter', options.snapshotter ?? 'overlayfs', file],
      {
        timeoutMs: 600_000,
        signal: tasks.signal,
      },
    );
    log.info('imported images', { file, ms: Math.round(clock.monotonic() - started) });
  }

  /** The CRI learns of imported images by an event of its own. */
  async function awaitImage(cri: ReturnType<typeof createCri>): Promise<void> {
    for (let attempt = 0; attempt < 100; attempt++) {
      const { image } = await cri.imageStatus({ image: { image: pauseImage } });
      if (image !== null) return;
      await clock.sleep(50, tasks.signal);
    }
    throw new Error(`containerd does not show ${pauseImage} after its import`);
  }

  async function supervise(first: { readonly ended: Promise<void> }, signal: AbortSignal): Promise<void> {
    let running = first;
    for (let failures = 0; !signal.aborted; ) {
      const since = clock.monotonic();
      const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      await Promise.race([running.ended, aborted]);
      if (signal.aborted) return;
      pid = undefined;
      notReady = 'containerd ended and is being restarted';
      failures = clock.monotonic() - since > 60_000 ? 0 : failures + 1;
      log.error('containerd ended; starting it again', { failures });
      for (;;) {
        await clock.sleep(Math.min(10_000, 100 * 2 ** Math.min(failures, 7)), signal).catch(() => undefined);
        if (signal.aborted) return;
        try {
          running = await launch();
          break;
        } catch (error) {
          failures++;
          log.error('containerd cannot be started', { error });
        }
      }
    }
  }

  async function rotateLogs(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(3_600_000, signal).catch(() => undefined);
      await rotateProcessLog(join(options.dataDir, 'containerd.log')).catch((error: unknown) =>
        log.warn('cannot rotate the log of containerd', { error }),
      );
    }
  }

  return {
    endpoint,
    start: async () => {
      const running = await launch();
      tasks.spawn((signal) => supervise(running, signal));
      tasks.spawn(rotateLogs);
    },
    stop: async ({ detach }) => {
      await tasks.close();
      if (!detach && pid !== undefined) await endProcess(pid, clock);
      if (!detach) pid = undefined;
      notReady = 'containerd is stopped';
    },
    imported,
    notReady: () => notReady,
  };
}
