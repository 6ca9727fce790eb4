/** pods/portforward: over SPDY/3.1, SPDY/3.1 inside a websocket (kubectl since 1.31), and plain websockets. kubelet's cri/streaming/portforward. */
import type { Duplex } from 'node:stream';
import { createWebSocketStream } from 'ws';
import { pods } from '#kube/refs.ts';
import { badRequest } from '#kube/status-error.ts';
import type { ApiResponse, SubresourceDef, SubresourceRequest } from '../contract.ts';
import { drained } from '../streams/drain.ts';
import { SpdyConnection, type SpdyStream } from '../streams/spdy.ts';
import { writeSpdyHandshake } from '../streams/spdy-command.ts';
import { acceptWebSocket, chooseProtocol } from '../streams/websocket-command.ts';
import { portProtocols, servePortsOverWebSocket } from '../streams/websocket-ports.ts';
import type { Tunnel } from '../tunnel.ts';
import { expectSuccess } from './node-error.ts';
import { podTarget } from './pod-target.ts';

const spdyProtocol = 'portforward.k8s.io';
const tunnelled = 'SPDY/3.1+portforward.k8s.io';
const pairWithinMs = 30_000;

/** Opens one connection to a port of the pod. Rejects with an Error that says why it cannot. */
export type DialPort = (port: number, signal: AbortSignal) => Promise<Duplex>;

function parsePort(text: string | undefined): number {
  const port = Number(text);
  if (!/^\d+$/.test(text ?? '') || port < 1 || port > 65535) throw new Error(`unable to parse "${text ?? ''}" as a port`);
  return port;
}

async function toPod(data: SpdyStream, pod: Duplex): Promise<void> {
  for await (const chunk of data.incoming) {
    if (pod.destroyed) return;
    if (!pod.write(chunk)) await drained(pod);
  }
  if (!pod.destroyed) pod.end();
}

/** The container runtime's own words, which begin so; what happens on the way there is told alike (kubelet's cri/streaming/portforward). */
function toldError(port: string, problem: unknown): string {
  const text = problem instanceof Error ? problem.message : String(problem);
  return text.startsWith('error forwarding port ') ? text : `error forwarding port ${port} to pod: ${text}`;
}

/** Carries one connection: the data stream's bytes to the pod and back. Trouble is told on the error stream. */
async function forward(error: SpdyStream, data: SpdyStream, dial: DialPort, signal: AbortSignal): Promise<void> {
  try {
    const pod = await dial(parsePort(data.headers['port']), signal);
    const sending = toPod(data, pod).catch(() => pod.destroy());
    for await (const chunk of pod as AsyncIterable<Buffer>) await data.write(chunk);
    await data.end();
    await error.end();
    await sending;
  } catch (problem) {
    await error.write(Buffer.from(toldError(data.headers['port'] ?? '', problem))).catch(() => undefined);
    await error.end().catch(() => undefined);
    await data.reset().catch(() => undefined);
  }
}

/** Serves one SPDY connection: each pair of an error and a data stream with the same request id is one connection to the pod. */
async function serveSpdy(duplex: Duplex, head: Buffer, dial: DialPort): Promise<void> {
  const connection = new SpdyConnection(duplex);
  const gone = new AbortController();
  const halves = new Map<string, { readonly stream: SpdyStream; readonly late: NodeJS.Timeout }>();
  const reading = connection.run(head).then(() => gone.abort(new Error('the client is gone')));
  for await (const stream of connection.streams) {
    const id = stream.headers['requestid'] ?? '';
    const other = halves.get(id);
    if (other === undefined) {
      const late = setTimeout(() => {
        halves.delete(id);
        stream.reset().catch(() => undefined);
      }, pairWithinMs);
      halves.set(id, { stream, late });
      continue;
    }
    clearTimeout(other.late);
    halves.delete(id);
    const [error, data] = stream.headers['streamtype'] === 'error' ? [stream, other.stream] : [other.stream, stream];
    void forward(error, data, dial, gone.signal);
  }
  for (const { late } of halves.values()) clearTimeout(late);
  await reading;
}

function dialer(request: SubresourceRequest, node: string, tunnel: Tunnel): DialPort {
  return async (port, signal) => {
    const connection = await tunnel.dialNode(node, signal);
    const path = `/portForward/${request.namespace}/${request.name}?port=${port}`;
    const answer = await connection.request({ ':method': 'POST', ':path': path }, { endStream: false, signal });
    return (await expectSuccess(answer)).stream;
  };
}

async function portForward(request: SubresourceRequest, tunnel: Tunnel): Promise<ApiResponse> {
  const { headers, query, upgrade } = request.request;
  const ports = query.getAll('ports').flatMap((p) => p.split(','));
  // As upstream, admission sees what was asked for before anybody looks whether it can be done.
  await request.admit('CONNECT', undefined, { kind: 'PodPortForwardOptions', apiVersion: 'v1', ports });
  const { node } = podTarget(request);
  const kind = headers['upgrade']?.toLowerCase();
  if (upgrade !== true) throw badRequest('Upgrade request required');
  const dial = dialer(request, node, tunnel);
  // Says at once when the node is not there, rather than at the first connection.
  await tunnel.dialNode(node, request.request.signal);
  if (kind === 'spdy/3.1') {
    const offered = (headers['x-stream-protocol-version'] ?? '').split(',').map((p) => p.trim());
    if (!offered.includes(spdyProtocol))
      throw badRequest(`unable to upgrade: client supports ${offered.join(', ')}, server supports ${spdyProtocol}`);
    return {
      type: 'upgrade',
      accept: (_raw, socket, head) => {
        writeSpdyHandshake(socket, spdyProtocol);
        void serveSpdy(socket, head, dial);
      },
    };
  }
  if (kind !== 'websocket') throw badRequest(`unable to upgrade: unsupported protocol ${headers['upgrade'] ?? ''}`);
  const protocol = chooseProtocol(headers['sec-websocket-protocol'], [tunnelled, ...portProtocols]);
  if (protocol === undefined) throw badRequest(`requested protocol(s) are not supported: ${headers['sec-websocket-protocol'] ?? ''}`);
  if (protocol === tunnelled)
    return {
      type: 'upgrade',
      accept: (raw, socket, head) => {
        void acceptWebSocket(raw, socket, head, protocol).then((websocket) =>
          serveSpdy(createWebSocketStream(websocket), Buffer.alloc(0), dial),
        );
      },
    };
  const numbers = ports.map((p) => {
    try {
      return parsePort(p);
    } catch (error) {
      throw badRequest(error instanceof Error ? error.message : String(error));
    }
  });
  if (numbers.length === 0) throw badRequest('query parameter "ports" is required');
  if (numbers.length > 64) throw badRequest('too many ports');
  return {
    type: 'upgrade',
    accept: (raw, socket, head) => {
      void acceptWebSocket(raw, socket, head, protocol).then((websocket) => servePortsOverWebSocket(websocket, protocol, numbers, dial));
    },
  };
}

export const podPortForward = (tunnel: Tunnel): SubresourceDef => ({
  resource: pods,
  name: 'portforward',
  kind: { group: '', version: 'v1', kind: 'PodPortForwardOptions' },
  verbs: ['create', 'get'],
  handle: (request) => portForward(request, tunnel),
});
