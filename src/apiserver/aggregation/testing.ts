/** An API server with one APIService and a real server behind it, for tests. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { vi } from 'vitest';
import type { APIService, APIServiceCondition } from '#kube/generated/apiregistration-v1.ts';
import { realClock } from '#platform/clock.ts';
import { builtinKinds } from '#resources/index.ts';
import type { UserInfo } from '../contract.ts';
import type { HttpServer } from '../http/server.ts';
import type { ApiServerOptions } from '../server.ts';
import { admin, startTestServer, type TestServer, testTls } from '../testing.ts';
import { dialLocal, type Extension, startExtension, testAuthority } from './fixture.ts';

/** Awaits a condition, also on a machine with much else to do. */
export const until = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 20_000 });

/** For tests that go over real connections. */
export const slowTests = (): void => vi.setConfig({ testTimeout: 30_000 });

export const name = 'v1.example.test';
const collection = '/apis/apiregistration.k8s.io/v1/apiservices';
const proxies = testAuthority('proxies');
const tls = testTls();

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface Setup extends AsyncDisposable {
  readonly t: TestServer;
  readonly http: HttpServer;
  readonly extension: Extension;
  /** Where connections to the service go; changed by tests that break them. */
  readonly way: { dial: (signal: AbortSignal) => Promise<Duplex> };
  /** Options of a request over HTTPS. */
  readonly to: (method: string, path: string, headers?: Readonly<Record<string, string>>) => RequestOptions;
  readonly send: (method: string, path: string, body?: string, headers?: Readonly<Record<string, string>>) => Promise<Reply>;
  readonly create: (path: string, body: object) => Promise<unknown>;
  readonly addService: () => Promise<void>;
  readonly addSlice: (ready?: boolean) => Promise<void>;
  readonly addApiService: (spec?: object) => Promise<void>;
  readonly condition: () => Promise<APIServiceCondition | undefined>;
}

export interface SetupOptions {
  readonly user?: UserInfo;
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly server?: Partial<ApiServerOptions>;
  readonly requestTimeoutMs?: number;
}

const readReply = (message: IncomingMessage): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    message.on('data', (chunk: Buffer) => chunks.push(chunk));
    message.on('error', reject);
    message.on('end', () => resolve({ status: message.statusCode ?? 0, headers: message.headers, body: Buffer.concat(chunks).toString() }));
  });

export async function setUp(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  options: SetupOptions = {},
): Promise<Setup> {
  const extension = await startExtension(['ext.default.svc'], proxies, answer, options.upgrade);
  const way: Setup['way'] = { dial: (signal) => dialLocal(extension.port, signal) };
  const proxyClient = proxies.issue('system:auth-proxy', []);
  const config = { version: { major: '1', minor: '36', gitVersion: 'v1.36.0' }, serverAddress: () => '127.0.0.1:6443' };
  const t = await startTestServer(builtinKinds, {
    clock: realClock,
    remoteAccess: () => ({ dial: (_namespace, _name, _port, signal) => way.dial(signal), proxyClient: () => proxyClient }),
    ...(options.requestTimeoutMs === undefined
      ? {}
      : { config: { ...config, version: versionOf(config.version), requestTimeoutMs: options.requestTimeoutMs } }),
    ...options.server,
  });
  await t.server.bootstrap({ advertiseAddress: '10.0.0.1', port: 6443 });
  const http = t.server.createHttp({ tls: tls.server, authenticate: () => Promise.resolve(options.user ?? admin) });
  const port = await http.listen('127.0.0.1', 0);
  const to: Setup['to'] = (method, path, headers = {}) => ({ host: '127.0.0.1', port, method, path, headers, ca: tls.ca, agent: false });
  const create: Setup['create'] = (path, body) => t.transport.call({ method: 'POST', path, contentType: 'application/json', body });
  return {
    t,
    http,
    extension,
    way,
    to,
    create,
    send: (method, path, body, headers) =>
      new Promise((resolve, reject) => {
        const request = httpsRequest(to(method, path, headers), (message) => {
          readReply(message).then(resolve, reject);
        });
        request.on('error', reject);
        request.end(body);
      }),
    ...objectsOf(create, extension),
    condition: async () =>
      ((await t.transport.call({ method: 'GET', path: `${collection}/${name}` })) as APIService).status?.conditions?.[0],
    [Symbol.asyncDispose]: async () => {
      await http.close();
      await t.server.close();
      await extension[Symbol.asyncDispose]();
    },
  };
}

const versionOf = (known: { readonly major: string; readonly minor: string; readonly gitVersion: string }) => ({
  ...known,
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '',
  goVersion: '',
  compiler: '',
  platform: '',
});

function objectsOf(create: Setup['create'], extension: Extension): Pick<Setup, 'addService' | 'addSlice' | 'addApiService'> {
  return {
    addService: async () => {
      const spec = { ports: [{ name: 'https', port: 443 }] };
      await create('/api/v1/namespaces/default/services', { apiVersion: 'v1', kind: 'Service', metadata: { name: 'ext' }, spec });
    },
    addSlice: async (ready = true) => {
      await create('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'ext', labels: { 'kubernetes.io/service-name': 'ext' } },
        addressType: 'IPv4',
        endpoints: [{ addresses: ['192.0.2.1'], conditions: { ready } }],
        ports: [{ name: 'https', port: 443 }],
      });
    },
    addApiService: async (spec = {}) => {
      const caBundle = Buffer.from(extension.authority.cert).toString('base64');
      await create(collection, {
        apiVersion: 'apiregistration.k8s.io/v1',
        kind: 'APIService',
        metadata: { name },
        spec: {
          group: 'example.test',
          version: 'v1',
          service: { namespace: 'default', name: 'ext' },
          caBundle,
          groupPriorityMinimum: 2000,
          versionPriority: 10,
          ...spec,
        },
      });
    },
  };
}
