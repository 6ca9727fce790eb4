/**
 * An aggregated API server as extension authors write them: it takes from the cluster's own ConfigMap whom it may believe,
 * keeps gadgets of example.test/v1 in memory, and answers metrics.k8s.io/v1beta1 from what the kubelets tell.
 * Arguments: kubeconfig, address of the API server, port to listen on, file with { cert, key }.
 */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as httpsRequest } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { parse } from 'yaml';

interface Meta {
  name: string;
  namespace: string;
  uid: string;
  resourceVersion: string;
  creationTimestamp: string;
  annotations?: Record<string, string>;
}
interface Gadget {
  apiVersion: string;
  kind: string;
  metadata: Meta;
  spec?: object;
}

const [kubeconfig = '', apiServer = '', port = '', certificate = ''] = process.argv.slice(2);
const config = parse(readFileSync(kubeconfig, 'utf8')) as {
  clusters: { cluster: { 'certificate-authority-data': string } }[];
  users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
};
const decode = (text: string | undefined): string => Buffer.from(text ?? '', 'base64').toString('utf8');

/** GET from the API server, as the administrator. */
const get = (path: string): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const url = new URL(path, apiServer);
    const user = config.users[0]?.user;
    const ca = decode(config.clusters[0]?.cluster['certificate-authority-data']);
    const credentials = { ca, cert: decode(user?.['client-certificate-data']), key: decode(user?.['client-key-data']) };
    httpsRequest(url, credentials, (message) => {
      let text = '';
      message.setEncoding('utf8');
      message.on('data', (chunk: string) => {
        text += chunk;
      });
      message.on('end', () => {
        if (message.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${path}: ${String(message.statusCode)} ${text}`));
      });
    })
      .on('error', reject)
      .end();
  });

const trust = (
  (await get('/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication')) as { data: Record<string, string> }
).data;
const allowedNames = JSON.parse(trust['requestheader-allowed-names'] ?? '[]') as string[];
const headerOf = (key: string): string => (JSON.parse(trust[key] ?? '[""]') as string[])[0]?.toLowerCase() ?? '';
const userHeader = headerOf('requestheader-username-headers');
const groupHeader = headerOf('requestheader-group-headers');

/** Who asks, told by the front proxy, whose certificate the TLS layer has verified. */
function userOf(request: IncomingMessage): { readonly name: string; readonly groups: string } | undefined {
  const socket = request.socket as TLSSocket;
  if (!socket.authorized || !allowedNames.includes(String(socket.getPeerCertificate().subject.CN))) return undefined;
  const name = request.headers[userHeader];
  return typeof name === 'string' ? { name, groups: String(request.headers[groupHeader]) } : undefined;
}

const gadgets = new Map<string, Gadget>();
const watchers = new Set<(type: string, gadget: Gadget) => void>();
let revision = 1;
const changed = (type: string, gadget: Gadget): void => {
  for (const watcher of watchers) watcher(type, gadget);
};

const kindOf = (group: string, version: string, kind: string) => ({ group, version, kind });
const gadgetKind = kindOf('example.test', 'v1', 'Gadget');
const discovery = {
  kind: 'APIGroupDiscoveryList',
  apiVersion: 'apidiscovery.k8s.io/v2',
  metadata: {},
  items: [
    {
      metadata: { name: 'example.test' },
      versions: [
        {
          version: 'v1',
          freshness: 'Current',
          resources: [
            {
              resource: 'gadgets',
              responseKind: gadgetKind,
              scope: 'Namespaced',
              singularResource: 'gadget',
              shortNames: ['gd'],
              verbs: ['create', 'delete', 'get', 'list', 'watch'],
            },
          ],
        },
      ],
    },
    {
      metadata: { name: 'metrics.k8s.io' },
      versions: [
        {
          version: 'v1beta1',
          freshness: 'Current',
          resources: [
            {
              resource: 'nodes',
              responseKind: kindOf('metrics.k8s.io', 'v1beta1', 'NodeMetrics'),
              scope: 'Cluster',
              singularResource: '',
              verbs: ['get', 'list'],
            },
            {
              resource: 'pods',
              responseKind: kindOf('metrics.k8s.io', 'v1beta1', 'PodMetrics'),
              scope: 'Namespaced',
              singularResource: '',
              verbs: ['get', 'list'],
            },
          ],
        },
      ],
    },
  ],
};
const resourceList = (groupVersion: string) => ({ kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: [] });

const openApi = {
  openapi: '3.0.0',
  info: { title: 'gadgets', version: 'v1' },
  paths: {
    '/apis/example.test/v1/namespaces/{namespace}/gadgets': {
      get: { responses: { 200: { description: 'OK' } }, 'x-kubernetes-action': 'list', 'x-kubernetes-group-version-kind': gadgetKind },
    },
  },
  components: {
    schemas: {
      'test.example.v1.Gadget': {
        type: 'object',
        description: 'A gadget is a thing that another server keeps.',
        properties: {
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          metadata: { type: 'object' },
          spec: { type: 'object', properties: { size: { type: 'integer', description: 'How big it is.' } } },
        },
        'x-kubernetes-group-version-kind': [gadgetKind],
      },
    },
  },
};

function send(response: ServerResponse, status: number, body: unknown, type = 'application/json'): void {
  response.writeHead(status, { 'content-type': type }).end(`${JSON.stringify(body)}\n`);
}
const fail = (response: ServerResponse, code: number, reason: string, message: string): void =>
  send(response, code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, code });

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

const inNamespace = (namespace: string): Gadget[] =>
  [...gadgets.values()].filter((g) => namespace === '' || g.metadata.namespace === namespace);

async function answerGadgets(request: IncomingMessage, response: ServerResponse, user: string, url: URL): Promise<void> {
  const parts = url.pathname.replace('/apis/example.test/v1/', '').split('/');
  const [namespace = '', name = ''] = parts[0] === 'namespaces' ? [parts[1], parts[3]] : [];
  const found = gadgets.get(`${namespace}/${name}`);
  if (request.method === 'POST') {
    const gadget = (await bodyOf(request)) as Gadget;
    const time = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const { annotations, ...meta } = gadget.metadata;
    gadget.metadata = {
      ...meta,
      namespace,
      uid: crypto.randomUUID(),
      resourceVersion: String(++revision),
      creationTimestamp: time,
      annotations: { ...annotations, 'example.test/created-by': user },
    };
    gadgets.set(`${namespace}/${gadget.metadata.name}`, gadget);
    changed('ADDED', gadget);
    send(response, 201, gadget);
  } else if (request.method === 'DELETE' && name !== '') {
    if (found === undefined) return fail(response, 404, 'NotFound', `gadgets.example.test "${name}" not found`);
    gadgets.delete(`${namespace}/${name}`);
    changed('DELETED', { ...found, metadata: { ...found.metadata, resourceVersion: String(++revision) } });
    send(response, 200, { kind: 'Status', apiVersion: 'v1', status: 'Success' });
  } else if (name !== '') {
    if (found === undefined) fail(response, 404, 'NotFound', `gadgets.example.test "${name}" not found`);
    else send(response, 200, found);
  } else if (url.searchParams.get('watch') === 'true' || url.searchParams.get('watch') === '1') {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const write = (type: string, object: Gadget): void => {
      if (namespace === '' || object.metadata.namespace === namespace) response.write(`${JSON.stringify({ type, object })}\n`);
    };
    watchers.add(write);
    response.on('close', () => watchers.delete(write));
  } else {
    const metadata = { resourceVersion: String(revision) };
    send(response, 200, { kind: 'GadgetList', apiVersion: 'example.test/v1', metadata, items: inNamespace(namespace) });
  }
}

interface Usage {
  readonly time: string;
  readonly usageNanoCores?: number;
  readonly workingSetBytes?: number;
}
interface Summary {
  readonly node: { readonly nodeName: string; readonly cpu: Usage; readonly memory: Usage };
  readonly pods?: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string };
    readonly containers?: readonly { readonly name: string; readonly cpu?: Usage; readonly memory?: Usage }[];
  }[];
}
const usage = (cpu?: Usage, memory?: Usage) => ({
  cpu: `${cpu?.usageNanoCores ?? 0}n`,
  memory: `${Math.floor((memory?.workingSetBytes ?? 0) / 1024)}Ki`,
});

async function answerMetrics(response: ServerResponse, url: URL): Promise<void> {
  const nodes = (await get('/api/v1/nodes')) as { items: { metadata: { name: string } }[] };
  const all = await Promise.all(nodes.items.map((n) => get(`/api/v1/nodes/${n.metadata.name}/proxy/stats/summary`) as Promise<Summary>));
  const parts = url.pathname.replace('/apis/metrics.k8s.io/v1beta1/', '').split('/');
  const list = (kind: string, items: unknown[]): void =>
    send(response, 200, { kind, apiVersion: 'metrics.k8s.io/v1beta1', metadata: {}, items });
  if (parts[0] === 'nodes') {
    const items = all.map(({ node }) => ({
      metadata: { name: node.nodeName },
      timestamp: node.cpu.time,
      window: '10s',
      usage: usage(node.cpu, node.memory),
    }));
    return list('NodeMetricsList', items);
  }
  const namespace = parts[0] === 'namespaces' ? parts[1] : undefined;
  const items = all
    .flatMap((s) => s.pods ?? [])
    .filter((p) => namespace === undefined || p.podRef.namespace === namespace)
    .map(({ podRef, containers = [] }) => ({
      metadata: podRef,
      timestamp: new Date().toISOString(),
      window: '10s',
      containers: containers.map((c) => ({ name: c.name, usage: usage(c.cpu, c.memory) })),
    }));
  list('PodMetricsList', items);
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const user = userOf(request);
  if (user === undefined) return fail(response, 401, 'Unauthorized', 'only the front proxy may ask');
  const url = new URL(request.url ?? '/', 'https://extension');
  const path = url.pathname;
  if (path === '/apis') return send(response, 200, discovery, 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
  if (path === '/apis/example.test/v1' || path === '/apis/metrics.k8s.io/v1beta1') return send(response, 200, resourceList(path.slice(6)));
  if (path === '/openapi/v3')
    return send(response, 200, { paths: { 'apis/example.test/v1': { serverRelativeURL: '/openapi/v3/apis/example.test/v1?hash=1' } } });
  if (path === '/openapi/v3/apis/example.test/v1') return send(response, 200, openApi);
  if (path.startsWith('/apis/example.test/v1/')) return await answerGadgets(request, response, `${user.name} of ${user.groups}`, url);
  if (path.startsWith('/apis/metrics.k8s.io/v1beta1/')) return await answerMetrics(response, url);
  fail(response, 404, 'NotFound', 'the server could not find the requested resource');
}

const { cert, key } = JSON.parse(readFileSync(certificate, 'utf8')) as { cert: string; key: string };
const tls = { cert, key, ca: trust['requestheader-client-ca-file'] ?? '', requestCert: true, rejectUnauthorized: false };
const server = createServer(tls, (request, response) => {
  answer(request, response).catch((error: unknown) => fail(response, 500, 'InternalError', String(error)));
});
server.listen(Number(port), '0.0.0.0', () => process.stdout.write('ready\n'));
