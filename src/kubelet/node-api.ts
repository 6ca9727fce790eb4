/** What the API server may ask of this node: logs, commands, ports, figures. Served on HTTP/2 streams of the tunnel. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { badRequest, isStatus, StatusError, toStatus } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import { serveAttach } from './api/attach.ts';
import { createCadvisor } from './api/cadvisor.ts';
import { cadvisorMetrics } from './api/cadvisor-metrics.ts';
import { type ExecStreams, serveExec } from './api/exec.ts';
import { containerLog } from './api/logs.ts';
import { kubeletMetrics, probeMetrics, resourceMetrics } from './api/metrics.ts';
import { createSandboxes } from './api/network-use.ts';
import { forwardPort } from './api/port-forward.ts';
import { textType } from './api/prometheus-text.ts';
import { createStats } from './api/stats.ts';
import { createTaskClient } from './containerd/tasks.ts';
import type { Kubelet, KubeletParts } from './index.ts';
import type { ContainerRecord } from './pods/runtime.ts';
import type { PodWorker } from './pods/worker.ts';

export interface NodeApiOptions {
  readonly kubelet: Kubelet;
  readonly nodeName: string;
  /** containerd's socket. */
  readonly endpoint: string;
  /** For named pipes, e.g. /run/k3ts. */
  readonly runDir: string;
  /** Which addresses the API server may reach through this node: pods, services, the node itself. */
  readonly mayDial: (host: string, port: number) => boolean;
  readonly clock: Clock;
  readonly exec: Exec;
  readonly random: Random;
  readonly log: Logger;
}

export interface NodeApi {
  /** Answers one request. Never throws. */
  readonly serve: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
  readonly close: () => void;
}

interface Call {
  readonly stream: ServerHttp2Stream;
  readonly method: string;
  readonly path: readonly string[];
  readonly params: URLSearchParams;
  readonly parts: KubeletParts;
}

const flag = (params: URLSearchParams, name: string): boolean => ['1', 'true'].includes(params.get(name) ?? '');

function findPod(parts: KubeletParts, namespace: string, name: string): PodWorker {
  const worker = parts.manager.find(namespace, name);
  if (worker === undefined)
    throw new StatusError('NotFound', `pod "${name}" does not exist on this node`, { details: { kind: 'pods', name } });
  return worker;
}

function runningContainer(worker: PodWorker, name: string): ContainerRecord {
  const record = worker.runtime()?.containers.find((c) => c.name === name && c.state === 'running');
  if (record === undefined) throw new StatusError('NotFound', `container not found ("${name}")`);
  return record;
}

function send(stream: ServerHttp2Stream, status: number, type: string, body: string | Buffer): void {
  if (stream.destroyed) return;
  stream.respond({ ':status': status, 'content-type': type });
  stream.end(body);
}

function fail(stream: ServerHttp2Stream, error: unknown, log: Logger): void {
  const known = isStatus(error)
    ? error
    : new StatusError('InternalError', `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`);
  if (!isStatus(error)) log.warn('a request to this node failed', { error });
  if (stream.headersSent) stream.close();
  else send(stream, known.code, 'application/json', JSON.stringify(toStatus(known)));
}

const quietMs = 100;

/** Writes a stream of bytes, waiting while the receiver is slow. */
async function pump(stream: ServerHttp2Stream, source: AsyncGenerator<Buffer>, clock: Clock): Promise<void> {
  // The first chunk decides whether there is an answer or an error; a quiet log is answered before it says something.
  const first = source.next();
  await Promise.race([first, clock.sleep(quietMs)]);
  if (stream.destroyed) return;
  stream.respond({ ':status': 200, 'content-type': 'text/plain' });
  for (let item = await first; item.done !== true && !stream.destroyed; item = await source.next()) {
    if (stream.write(item.value)) continue;
    await new Promise<void>((resolve) => {
      stream.once('drain', resolve);
      stream.once('close', resolve);
    });
  }
  await source.return(undefined);
  stream.end();
}

export function createNodeApi(options: NodeApiOptions): NodeApi {
  const { kubelet, clock, exec, log } = options;
  const tasks = createTaskClient(options.endpoint);
  let made: { readonly stats: ReturnType<typeof createStats>; readonly cadvisor: ReturnType<typeof createCadvisor> } | undefined;

  const figuresOf = (parts: KubeletParts): NonNullable<typeof made> => {
    if (made !== undefined) return made;
    const { cri } = parts.context;
    const { manager, machine } = parts;
    const sandboxes = createSandboxes({ cri, manager });
    const deps = { cri, manager, machine, host: parts.cgroups.host, root: parts.context.paths.root, clock, sandboxes };
    made = { stats: createStats({ ...deps, nodeName: options.nodeName }), cadvisor: createCadvisor(deps) };
    return made;
  };

  async function logs({ stream, path, params, parts }: Call): Promise<void> {
    const [, namespace = '', pod = '', container = ''] = path;
    const worker = findPod(parts, namespace, pod);
    const gone = new AbortController();
    stream.once('close', () => gone.abort());
    const source = containerLog(worker, container, params, clock.now(), gone.signal);
    await pump(stream, source, clock);
  }

  const streamsOf = (params: URLSearchParams): Omit<ExecStreams, 'command'> => ({
    stdin: flag(params, 'input'),
    stdout: flag(params, 'output'),
    stderr: flag(params, 'error'),
    tty: flag(params, 'tty'),
  });

  async function run({ stream, path, params, parts }: Call): Promise<void> {
    const [verb, namespace = '', pod = '', container = ''] = path;
    const record = runningContainer(findPod(parts, namespace, pod), container);
    const command = params.getAll('command');
    if (verb === 'exec' && command.length === 0) throw badRequest('you must specify at least 1 command for the container');
    stream.respond({ ':status': 200, 'content-type': 'application/octet-stream' });
    if (verb === 'attach') return serveAttach(stream, record.id, streamsOf(params), parts.context.cri());
    return serveExec(
      stream,
      record.id,
      { ...streamsOf(params), command },
      { tasks, exec, log, runDir: join(options.runDir, 'exec'), execId: options.random.uuid() },
    );
  }

  async function portForward({ stream, path, params, parts }: Call): Promise<void> {
    const [, namespace = '', name = ''] = path;
    const worker = findPod(parts, namespace, name);
    const port = Number(params.get('port'));
    if (!Number.isInteger(port) || port < 1 || port > 65535) throw badRequest(`invalid port "${params.get('port')}"`);
    const sandbox = worker.runtime()?.sandboxes.find((s) => s.ready);
    if (sandbox === undefined) throw new StatusError('NotFound', `pod "${name}" has no running sandbox`);
    const pod = worker.pod();
    const target = { sandboxId: sandbox.id, podIp: sandbox.ips[0] ?? '127.0.0.1', hostNetwork: pod?.spec?.hostNetwork === true };
    // That nothing listens there shows only after the answer has begun: it is told at its end.
    let trailers: OutgoingHttpHeaders = {};
    stream.once('wantTrailers', () => stream.sendTrailers(trailers));
    stream.respond({ ':status': 200, 'content-type': 'application/octet-stream' }, { waitForTrailers: true });
    await forwardPort(stream, target, port, parts.context.cri()).catch((error: unknown) => {
      const text = error instanceof Error ? error.message : String(error);
      trailers = { 'x-k3ts-error': encodeURIComponent(text.slice(0, 4096).toWellFormed()) };
      stream.end();
    });
  }

  async function dial(stream: ServerHttp2Stream, authority: string): Promise<void> {
    const match = /^\[?([^\]]+?)\]?:(\d+)$/.exec(authority);
    const host = match?.[1] ?? '';
    const port = Number(match?.[2]);
    if (match === null || !options.mayDial(host, port)) throw new StatusError('Forbidden', `this node does not connect to ${authority}`);
    const socket = connect({ host, port, allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      socket.setTimeout(10_000, () => socket.destroy(new Error(`dial tcp ${authority}: i/o timeout`)));
      socket.once('connect', resolve);
      socket.once('error', reject);
    }).catch((error: unknown) => {
      throw new StatusError('ServiceUnavailable', error instanceof Error ? error.message : String(error));
    });
    socket.setTimeout(0);
    stream.respond({ ':status': 200 });
    stream.pipe(socket);
    socket.pipe(stream);
    socket.on('error', () => stream.close());
    stream.on('error', () => socket.destroy());
    stream.once('close', () => socket.destroy());
  }

  async function route(call: Call): Promise<void> {
    const { stream, method, path, parts } = call;
    const joined = `/${path.join('/')}`;
    if (method === 'GET' && path[0] === 'containerLogs' && path.length === 4) return logs(call);
    if (method === 'POST' && (path[0] === 'exec' || path[0] === 'attach') && path.length === 4) return run(call);
    if (method === 'POST' && path[0] === 'portForward' && path.length === 3) return portForward(call);
    if (method !== 'GET') throw new StatusError('MethodNotAllowed', `${method} is not allowed on ${joined}`);
    switch (joined) {
      case '/healthz':
        return send(stream, 200, 'text/plain', kubelet.notReady() ?? 'ok');
      case '/stats/summary':
        return send(stream, 200, 'application/json', JSON.stringify(await figuresOf(parts).stats.summary()));
      case '/metrics':
        return send(stream, 200, textType, kubeletMetrics(parts.manager, options.nodeName));
      case '/metrics/resource':
        return send(stream, 200, textType, resourceMetrics(await figuresOf(parts).stats.summary()));
      case '/metrics/cadvisor':
        return send(stream, 200, textType, cadvisorMetrics(await figuresOf(parts).cadvisor()));
      case '/metrics/probes':
        return send(stream, 200, textType, probeMetrics(parts.context.prober, parts.manager));
      case '/pods': {
        const items = parts.manager.list().flatMap((w) => w.pod() ?? []);
        return send(stream, 200, 'application/json', JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items }));
      }
      default:
        throw new StatusError('NotFound', `this node does not serve ${joined}`);
    }
  }

  async function handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const method = String(headers[':method'] ?? 'GET');
    if (method === 'CONNECT') return dial(stream, String(headers[':authority'] ?? ''));
    const parts = kubelet.parts();
    if (parts === undefined) throw new StatusError('ServiceUnavailable', 'the kubelet has not started');
    const url = new URL(String(headers[':path'] ?? '/'), 'http://node');
    const path = url.pathname
      .split('/')
      .filter((p) => p !== '')
      .map(decodeURIComponent);
    return route({ stream, method, path, params: url.searchParams, parts });
  }

  return {
    serve: (stream, headers) => {
      stream.on('error', (error) => log.debug('a stream of the node API broke', { error }));
      handle(stream, headers).catch((error: unknown) => fail(stream, error, log));
    },
    close: tasks.close,
  };
}
