/** pods/exec and pods/attach: pkg/registry/core/pod/rest/subresources.go, over the node's tunnel. */
import { pods } from '#kube/refs.ts';
import { badRequest } from '#kube/status-error.ts';
import type { ApiResponse, SubresourceDef, SubresourceRequest } from '../contract.ts';
import { channels } from '../streams/frames.ts';
import { bridge, type CommandClient } from '../streams/remote-command.ts';
import { acceptSpdyCommand, spdyCommandProtocol } from '../streams/spdy-command.ts';
import { acceptWebSocket, chooseProtocol, commandProtocols, websocketClient } from '../streams/websocket-command.ts';
import type { NodeResponse, Tunnel } from '../tunnel.ts';
import { expectSuccess } from './node-error.ts';
import { containerOf, flag, podTarget } from './pod-target.ts';

interface Streams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

function streamsOf(query: URLSearchParams): Streams {
  const streams = {
    stdin: flag(query, 'stdin'),
    stdout: flag(query, 'stdout'),
    // A terminal has one output.
    stderr: flag(query, 'stderr') && !flag(query, 'tty'),
    tty: flag(query, 'tty'),
  };
  if (!streams.stdin && !streams.stdout && !streams.stderr) throw badRequest('you must specify at least 1 of stdin, stdout, stderr');
  return streams;
}

function nodePath(action: 'exec' | 'attach', request: SubresourceRequest, container: string, streams: Streams): string {
  const query = new URLSearchParams();
  if (action === 'exec') for (const part of request.request.query.getAll('command')) query.append('command', part);
  if (streams.stdin) query.set('input', '1');
  if (streams.stdout) query.set('output', '1');
  if (streams.stderr) query.set('error', '1');
  if (streams.tty) query.set('tty', '1');
  return `/${action}/${request.namespace}/${request.name}/${container}?${query.toString()}`;
}

/** What the client speaks. Throws StatusError BadRequest for what this server does not. */
function clientForm(request: SubresourceRequest): { readonly websocket: string } | { readonly spdy: string } {
  const { headers, upgrade } = request.request;
  if (upgrade !== true) throw badRequest('Upgrade request required');
  if (headers['upgrade']?.toLowerCase() === 'websocket') {
    const protocol = chooseProtocol(headers['sec-websocket-protocol'], commandProtocols);
    if (protocol === undefined)
      throw badRequest(
        `requested protocol(s) are not supported: ${headers['sec-websocket-protocol'] ?? ''}; supports ${commandProtocols.join(', ')}`,
      );
    return { websocket: protocol };
  }
  if (headers['upgrade']?.toLowerCase() === 'spdy/3.1') return { spdy: spdyCommandProtocol(headers['x-stream-protocol-version']) };
  throw badRequest(`unable to upgrade: unsupported protocol ${headers['upgrade'] ?? ''}`);
}

async function run(action: 'exec' | 'attach', request: SubresourceRequest, tunnel: Tunnel): Promise<ApiResponse> {
  const { query, signal } = request.request;
  const streams = streamsOf(query);
  // As upstream, admission sees what was asked for before anybody looks whether it can be done.
  await request.admit('CONNECT', undefined, optionsOf(action, query, streams));
  const { pod, node } = podTarget(request);
  const container = containerOf(pod, query.get('container') ?? '');
  if (action === 'exec' && query.getAll('command').length === 0) throw badRequest('you must specify a command for the container');
  const form = clientForm(request);
  const connection = await tunnel.dialNode(node, signal);
  const path = nodePath(action, request, container, streams);
  const answer: NodeResponse = await connection.request({ ':method': 'POST', ':path': path }, { endStream: false, signal });
  await expectSuccess(answer, 'unable to upgrade connection: ');
  return {
    type: 'upgrade',
    accept: (raw, socket, head) => {
      const client: Promise<CommandClient> =
        'websocket' in form
          ? acceptWebSocket(raw, socket, head, form.websocket).then(async (websocket) => {
              const made = websocketClient(websocket, form.websocket);
              // An empty message tells clients that the session is there.
              await made.send(streams.stdout ? channels.stdout : streams.stderr ? channels.stderr : channels.error, Buffer.alloc(0));
              return made;
            })
          : acceptSpdyCommand(socket, head, form.spdy, streams);
      client.then(
        (made) => bridge(made, answer.stream),
        () => {
          answer.stream.destroy();
          socket.destroy();
        },
      );
    },
  };
}

function optionsOf(action: 'exec' | 'attach', query: URLSearchParams, streams: Streams) {
  const kind = action === 'exec' ? 'PodExecOptions' : 'PodAttachOptions';
  return {
    kind,
    apiVersion: 'v1',
    ...streams,
    container: query.get('container') ?? '',
    ...(action === 'exec' ? { command: query.getAll('command') } : {}),
  };
}

const subresource = (action: 'exec' | 'attach', tunnel: Tunnel): SubresourceDef => ({
  resource: pods,
  name: action,
  kind: { group: '', version: 'v1', kind: action === 'exec' ? 'PodExecOptions' : 'PodAttachOptions' },
  verbs: ['create', 'get'],
  handle: (request) => run(action, request, tunnel),
});

export const podExec = (tunnel: Tunnel): SubresourceDef => subresource('exec', tunnel);
export const podAttach = (tunnel: Tunnel): SubresourceDef => subresource('attach', tunnel);
