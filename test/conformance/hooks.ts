/** Webhooks that answer as those of upstream's test image (agnhost webhook, agnhost crd-conversion-webhook), behind a service of the cluster. */
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { ensureAuthority, ensureLeaf } from '../../src/pki/certificates.ts';
import type { Cluster } from './cluster.ts';

interface Asked {
  readonly uid: string;
  readonly operation: string;
  readonly object: Thing | null;
  readonly oldObject: Thing | null;
}
interface Thing {
  readonly apiVersion: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: { readonly containers?: readonly { readonly name: string }[]; readonly initContainers?: readonly unknown[] };
  readonly [field: string]: unknown;
}
interface Verdict {
  readonly allowed: boolean;
  readonly [field: string]: unknown;
}

const allow: Verdict = { allowed: true };
const deny = (message: string): Verdict => ({ allowed: false, status: { message } });
const patched = (...operations: readonly object[]): Verdict =>
  operations.length === 0
    ? allow
    : { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') };

const unwanted = (object: Thing | null): boolean => object?.data?.['webhook-e2e-test'] === 'webhook-disallow';

/** Adds what comes next of mutation-start, -stage-1 and -stage-2. */
const stages = ({ object }: Asked): Verdict => {
  const add = (key: string): Verdict => patched({ op: 'add', path: `/data/${key}`, value: 'yes' });
  const { data = {} } = object ?? {};
  if (data['mutation-start'] === 'yes' && data['mutation-stage-1'] === undefined) return add('mutation-stage-1');
  if (data['mutation-stage-1'] === 'yes' && data['mutation-stage-2'] === undefined) return add('mutation-stage-2');
  return allow;
};

const verdicts: Readonly<Record<string, (asked: Asked) => Verdict | Promise<Verdict>>> = {
  '/always-allow-delay-5s': async () => {
    // Longer than any timeout that the tests give it but one.
    await wait(1200);
    return allow;
  },
  '/always-deny': () => deny('this webhook denies all requests'),
  '/add-label': ({ object }) =>
    patched(
      object?.metadata.labels === undefined
        ? { op: 'add', path: '/metadata/labels', value: { 'added-label': 'yes' } }
        : { op: 'add', path: '/metadata/labels/added-label', value: 'yes' },
    ),
  '/configmaps': ({ object }) => (unwanted(object) ? deny('the configmap contains unwanted key and value') : allow),
  '/mutating-configmaps': stages,
  '/custom-resource': ({ object, oldObject, operation }) =>
    unwanted(operation === 'DELETE' ? oldObject : object) ? deny('the custom resource contains unwanted data') : allow,
  '/mutating-custom-resource': stages,
  '/crd': ({ object }) =>
    object?.metadata.labels?.['webhook-e2e-test'] === 'webhook-disallow' ? deny('the crd contains unwanted label') : allow,
  '/pods': async ({ object }) => {
    const names = object?.spec?.containers?.map((c) => c.name) ?? [];
    if (object?.metadata.labels?.['webhook-e2e-test'] === 'wait-forever') await new Promise(() => undefined);
    const reasons = [
      ...(names.includes('webhook-disallow') ? ['the pod contains unwanted container name'] : []),
      ...(object?.metadata.labels?.['webhook-e2e-test'] === 'webhook-disallow' ? ['the pod contains unwanted label'] : []),
    ];
    return reasons.length === 0 ? allow : deny(reasons.join('; '));
  },
  '/mutating-pods': ({ object }) =>
    object?.metadata.name === 'webhook-to-be-mutated' && object.spec?.initContainers === undefined
      ? patched({
          op: 'add',
          path: '/spec/initContainers',
          value: [{ image: 'webhook-added-image', name: 'webhook-added-init-container', resources: {} }],
        })
      : allow,
  '/pods/attach': () => deny("attaching to pod 'to-be-attached-pod' is not allowed"),
};

/** hostPort of v1 is host and port of v2. */
function convert(object: Thing, to: string): Thing {
  const { hostPort, host, port, ...rest } = object as Thing & {
    readonly hostPort?: string;
    readonly host?: string;
    readonly port?: string;
  };
  if (to.endsWith('/v1')) return { ...rest, apiVersion: to, ...(host === undefined ? {} : { hostPort: `${host}:${port}` }) };
  const [h, p] = hostPort?.split(':') ?? [];
  return { ...rest, apiVersion: to, ...(hostPort === undefined ? {} : { host: h, port: p }) };
}

interface Review {
  readonly request: Asked & { readonly desiredAPIVersion: string; readonly objects: readonly Thing[] };
}

async function answer(path: string, { request }: Review): Promise<object> {
  const { uid } = request;
  if (path === '/crdconvert') {
    const convertedObjects = request.objects.map((o) =>
      o.apiVersion === request.desiredAPIVersion ? o : convert(o, request.desiredAPIVersion),
    );
    return { uid, result: { status: 'Success' }, convertedObjects };
  }
  return { uid, ...(await verdicts[path]?.(request)) };
}

export interface Hooks {
  /** A clientConfig for a path above. */
  readonly config: (path: string) => { readonly service: object; readonly caBundle: string };
}

const namespace = 'webhooks';
const service = 'e2e-test-webhook';

/** Starts the webhooks before the tests. */
export function useHooks(cluster: Cluster): Hooks {
  let caBundle = '';
  let server: Server | undefined;
  beforeAll(async () => {
    const { folder, host } = cluster.node();
    const authority = await ensureAuthority(folder, 'hook-ca', Date.now());
    caBundle = Buffer.from(authority.certPem).toString('base64');
    const altNames = { dns: [`${service}.${namespace}.svc`], ip: [], email: [], uri: [] };
    const leaf = await ensureLeaf(folder, { name: 'hook', commonName: 'hook', usages: ['server auth'], altNames }, authority, Date.now());
    const socket = join(folder, 'hook.sock');
    server = createServer({ key: leaf.keyPem, cert: leaf.certPem }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const review = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Review & { apiVersion: string; kind: string };
        const { pathname } = new URL(request.url ?? '/', 'https://hook');
        void answer(pathname, review).then((given) => {
          response.setHeader('content-type', 'application/json');
          response.end(JSON.stringify({ apiVersion: review.apiVersion, kind: review.kind, response: given }));
        });
      });
    });
    await new Promise<void>((resolve) => server?.listen(socket, resolve));
    await cluster.relay(`${host.address}:9443`, socket);
    const { api } = cluster;
    const at = `/api/v1/namespaces/${namespace}`;
    await api.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    await api.post(`${at}/services`, { apiVersion: 'v1', kind: 'Service', metadata: { name: service }, spec: { ports: [{ port: 8443 }] } });
    await api.post(`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: service, labels: { 'kubernetes.io/service-name': service } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [host.address] }],
      ports: [{ port: 9443 }],
    });
  });
  afterAll(() => {
    server?.closeAllConnections();
    server?.close();
  });
  return { config: (path) => ({ service: { namespace, name: service, path, port: 8443 }, caBundle }) };
}
