/** A plain HTTP server in front of the tunnel and of subresources, with one fake agent: for tests of streams. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { KindDef } from '#kube/kind.ts';
import { StatusError, toStatus } from '#kube/status-error.ts';
import { realClock } from '#platform/clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { ApiRequest, ApiResponse, SubresourceDef, UserInfo } from '../contract.ts';
import { type TestObjects, testObjects } from '../test-objects.ts';
import { createTunnel, type Tunnel } from '../tunnel.ts';
import { type AgentHandler, startFakeAgent } from './fake-agent.ts';

export interface StreamFixture {
  readonly port: number;
  readonly objects: TestObjects;
  readonly tunnel: Tunnel;
  /** Connects a node. */
  readonly agent: (node: string, handler: AgentHandler) => ReturnType<typeof startFakeAgent>;
  readonly close: () => Promise<void>;
}

/** `/api/v1/namespaces/<ns>/<plural>/<name>/<subresource>[/rest]` goes to the subresource, everything else to the tunnel's route. */
export async function startStreams(kinds: readonly KindDef[], defs: (tunnel: Tunnel) => readonly SubresourceDef[]): Promise<StreamFixture> {
  const tunnel = createTunnel({ clock: realClock, log: memoryLogger() });
  const subresources = defs(tunnel);
  const objects = await testObjects(kinds);
  const dispatch = (raw: IncomingMessage, body: Buffer | undefined, upgrade: boolean, signal: AbortSignal): Promise<ApiResponse> => {
    const url = new URL(raw.url ?? '/', 'http://x');
    const node = raw.headers['x-node'];
    const user: UserInfo =
      typeof node === 'string' ? { name: `system:node:${node}`, groups: ['system:nodes'] } : { name: 'admin', groups: ['system:masters'] };
    const headers = raw.headers as ApiRequest['headers'];
    const request: ApiRequest = {
      method: raw.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers,
      body,
      user,
      signal,
      upgrade,
    };
    const parts = url.pathname.split('/');
    if (parts[1] !== 'api') return tunnel.routes[0]?.handle(request) ?? Promise.reject(new Error('no route'));
    const at = parts[3] === 'namespaces' ? 5 : 3;
    const [plural, name = '', subresource = '', ...rest] = parts.slice(at);
    const def = subresources.find((s) => s.resource.plural === plural && s.name === subresource);
    if (def === undefined) return Promise.reject(new StatusError('NotFound', 'no such subresource'));
    return def.handle({
      request,
      def: {} as never,
      namespace: at === 5 ? (parts[4] ?? '') : '',
      name,
      rest: rest.length === 0 ? '' : `/${rest.join('/')}`,
      store: objects,
      readBody: () => JSON.parse(body?.toString() ?? '{}') as unknown,
      admit: async () => await Promise.resolve(),
    });
  };
  const failure = (error: unknown): { readonly code: number; readonly body: string } =>
    error instanceof StatusError
      ? { code: error.code, body: JSON.stringify(toStatus(error)) }
      : { code: 500, body: error instanceof Error ? String(error.stack) : '' };
  const server: Server = createServer((raw, response) => {
    const chunks: Buffer[] = [];
    raw.on('data', (c: Buffer) => chunks.push(c));
    raw.on('end', () => {
      const gone = new AbortController();
      response.on('close', () => gone.abort());
      dispatch(raw, chunks.length === 0 ? undefined : Buffer.concat(chunks), false, gone.signal).then(
        (answer) => {
          if (answer.type === 'stream') {
            response.writeHead(answer.status, { 'content-type': answer.contentType, ...answer.headers });
            answer.stream.pipe(response);
          } else if (answer.type === 'bytes') {
            response.writeHead(answer.status, { 'content-type': answer.contentType, ...answer.headers });
            response.end(answer.body);
          } else response.writeHead(500).end(answer.type);
        },
        (error: unknown) => {
          const { code, body } = failure(error);
          response.writeHead(code, { 'content-type': 'application/json' }).end(body);
        },
      );
    });
  });
  server.on('upgrade', (raw: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const gone = new AbortController();
    socket.on('close', () => gone.abort());
    dispatch(raw, undefined, true, gone.signal).then(
      (answer) => {
        if (answer.type === 'upgrade') answer.accept(raw, socket, head);
        else socket.destroy();
      },
      (error: unknown) => {
        const { code, body } = failure(error);
        socket.end(`HTTP/1.1 ${code} x\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`);
      },
    );
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    objects,
    tunnel,
    agent: (node, handler) => startFakeAgent(`ws://127.0.0.1:${port}/v1-k3ts/connect`, handler, { headers: { 'x-node': node } }),
    close: async () => {
      tunnel.close();
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
