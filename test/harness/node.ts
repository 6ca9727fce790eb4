/** The built executable, running as a server on a host of the scenario's own network. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchClientTools } from '../../build/client-tools.ts';
import { buildImage, type ImageSpec } from './image.ts';
import { createLan, type Host, type Lan } from './lan.ts';
import { Cleanup, end, eventually, must, type Output, run } from './machine.ts';

const root = join(import.meta.dirname, '../..');
export const executable = join(root, 'dist/k3ts');

/** kubectl 1.36 and helm 4. */
export function clientTools(): { readonly kubectl: string; readonly helm: string } {
  const tools = fetchClientTools(join(root, '.cache'));
  if (tools === undefined) throw new Error('the scenarios need kubectl and helm, which come for x86_64 only');
  return tools;
}

export interface ServerNode {
  readonly host: Host;
  readonly folder: string;
  readonly dataDir: string;
  readonly kubeconfig: string;
  readonly containerdSocket: string;
  readonly url: string;
  /** Starts (again); resolves when /readyz answers ok. */
  readonly start: (extraArgs?: readonly string[]) => Promise<void>;
  /** Ends the k3ts process; containers stay. */
  readonly stop: (signal: NodeJS.Signals) => Promise<void>;
  /** Removes the cluster's state and containers, as if it had never run; the unpacked program stays. */
  readonly forget: () => Promise<void>;
  readonly pid: () => number;
  readonly log: () => string;
  /** Runs kubectl in the host's network, whatever its exit code. */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<Output>;
  /** Runs kubectl, which must succeed; its standard output. */
  readonly ok: (args: readonly string[], input?: string) => Promise<string>;
  /** Any program in the host's network. */
  readonly inside: (file: string, args: readonly string[], input?: string) => Promise<Output>;
  /** Builds an image and puts it into the node's containerd. */
  readonly addImage: (spec: ImageSpec) => Promise<void>;
  /** Of this server's own node unless another is named. */
  readonly nodeReady: (of?: string, timeoutMs?: number) => Promise<void>;
}

/** The built executable, running as an agent on a host of its own. */
export interface AgentNode {
  readonly host: Host;
  readonly dataDir: string;
  /** Starts (again) with a token; does not wait for the node. */
  readonly start: (token: string) => void;
  /** Ends the k3ts process and gives its exit code; containers stay. */
  readonly stop: (signal: NodeJS.Signals) => Promise<number | null>;
  readonly running: () => boolean;
  readonly log: () => string;
  /** Builds an image and puts it into the node's containerd. */
  readonly addImage: (spec: ImageSpec) => Promise<void>;
}

export interface Scenario extends AsyncDisposable {
  readonly lan: Lan;
  readonly cleanup: Cleanup;
  readonly addServer: (name: string, args?: readonly string[]) => Promise<ServerNode>;
  /** A host whose agent joins a server once it is started. */
  readonly addAgent: (name: string, server: ServerNode) => Promise<AgentNode>;
}

/** Everything that a scenario makes goes when it is disposed, also when it failed. */
export async function createScenario(): Promise<Scenario> {
  const cleanup = new Cleanup();
  try {
    const lan = await createLan(cleanup);
    return {
      lan,
      cleanup,
      addServer: (name, args = []) => addServer(lan, cleanup, name, args),
      addAgent: (name, server) => addAgent(lan, cleanup, name, server),
      [Symbol.asyncDispose]: () => cleanup.run(),
    };
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

interface Machine {
  readonly host: Host;
  readonly folder: string;
  readonly dataDir: string;
  readonly containerdSocket: string;
  readonly child: () => ChildProcess | undefined;
  /** Runs the executable until `stop`, its output in the log. */
  readonly start: (words: readonly string[]) => void;
  readonly stop: (signal: NodeJS.Signals) => Promise<void>;
  readonly log: () => string;
  readonly addImage: (spec: ImageSpec) => Promise<void>;
}

/** A host on which the executable runs with a data directory of its own. */
async function addMachine(lan: Lan, cleanup: Cleanup, name: string): Promise<Machine> {
  const host = await lan.addHost(name);
  // Unix socket paths are short: 108 bytes at most.
  const folder = mkdtempSync(join(tmpdir(), `k3ts-${name}-`));
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir);
  const logFile = join(folder, 'log');
  const [enter = '', ...enterArgs] = host.enter;
  const containerdSocket = join(dataDir, 'run/containerd/containerd.sock');
  let child: ChildProcess | undefined;
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (child !== undefined) await end(child, signal);
  };
  cleanup.add(`data of ${name}`, async () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  cleanup.add(`containers of ${name}`, () => must(enter, [...enterArgs, executable, 'killall', '--data-dir', dataDir]));
  cleanup.add(`k3ts on ${name}`, () => stop('SIGTERM'));
  return {
    host,
    folder,
    dataDir,
    containerdSocket,
    child: () => child,
    start: (words) => {
      const log = openSync(logFile, 'a');
      child = spawn(enter, [...enterArgs, executable, ...words], { stdio: ['ignore', log, log] });
      closeSync(log);
    },
    stop,
    log: () => readFileSync(logFile, 'utf8'),
    addImage: async (spec) => {
      const archive = await buildImage(spec, folder);
      await must('ctr', ['--address', containerdSocket, '--namespace', 'k8s.io', 'images', 'import', archive]);
    },
  };
}

async function addAgent(lan: Lan, cleanup: Cleanup, name: string, server: ServerNode): Promise<AgentNode> {
  const { host, dataDir, child, start, stop, log, addImage } = await addMachine(lan, cleanup, name);
  const words = ['agent', '--server', server.url, '--data-dir', dataDir, '--node-name', name, '--node-ip', host.address];
  return {
    host,
    dataDir,
    start: (token) => start([...words, '--token', token]),
    stop: async (signal) => {
      await stop(signal);
      return child()?.exitCode ?? null;
    },
    running: () => child()?.exitCode === null,
    log,
    addImage,
  };
}

async function addServer(lan: Lan, cleanup: Cleanup, name: string, args: readonly string[]): Promise<ServerNode> {
  const { host, folder, dataDir, containerdSocket, child, start, stop, log, addImage } = await addMachine(lan, cleanup, name);
  const kubeconfig = join(folder, 'kubeconfig.yaml');
  const [enter = '', ...enterArgs] = host.enter;
  const tools = clientTools();

  const kubectl = (words: readonly string[], input?: string): Promise<Output> =>
    run(enter, [...enterArgs, tools.kubectl, `--kubeconfig=${kubeconfig}`, ...words], {
      ...(input === undefined ? {} : { input }),
      env: { HOME: folder },
    });
  const ok = async (words: readonly string[], input?: string): Promise<string> => {
    const result = await kubectl(words, input);
    if (result.code !== 0) throw new Error(`kubectl ${words.join(' ')}: exit code ${result.code}: ${result.stderr}${result.stdout}`);
    return result.stdout;
  };
  const node: ServerNode = {
    host,
    folder,
    dataDir,
    kubeconfig,
    containerdSocket,
    url: `https://${host.address}:6443`,
    pid: () => child()?.pid ?? -1,
    log,
    start: async (extraArgs = []) => {
      const own = ['--data-dir', dataDir, '--write-kubeconfig', kubeconfig, '--node-name', name, '--node-ip', host.address];
      start(['server', ...own, ...args, ...extraArgs]);
      await eventually(`server ${name} is ready`, async () => {
        if (child()?.exitCode !== null) throw new Error(`k3ts ended: ${log().slice(-3000)}`);
        return (await kubectl(['get', '--raw', '/readyz'])).stdout === 'ok' ? true : undefined;
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${node.log().slice(-5000)}`);
      });
    },
    stop,
    forget: async () => {
      await must(enter, [...enterArgs, executable, 'killall', '--data-dir', dataDir]);
      for (const name of ['server', 'agent', 'run']) rmSync(join(dataDir, name), { recursive: true, force: true });
    },
    kubectl,
    ok,
    inside: (file, words, input) => run(enter, [...enterArgs, file, ...words], input === undefined ? {} : { input }),
    addImage,
    nodeReady: async (of = name, timeoutMs = 60_000) => {
      const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
      await eventually(
        `node ${of} is Ready`,
        async () => ((await ok(['get', 'node', of, '-o', path])) === 'True' ? true : undefined),
        timeoutMs,
      ).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${log().slice(-5000)}`);
      });
    },
  };
  return node;
}
