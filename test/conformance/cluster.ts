/** The server that the tests of one file walk through together, and what most of them need of it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { parse } from 'yaml';
import { end, eventually } from '../harness/machine.ts';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';
import { type Client, type Credentials, createClient, type Obj } from './client.ts';

export interface Cluster {
  /** As administrator. */
  readonly api: Client;
  /** With a bearer token. */
  readonly withToken: (token: string) => Client;
  /** With a client certificate. */
  readonly withCertificate: (cert: Buffer, key: string) => Client;
  /** Without credentials. */
  readonly anonymous: Client;
  readonly node: () => ServerNode;
  /** Makes a namespace for one test; its path: /api/v1/namespaces/NAME. */
  readonly namespace: (labels?: Readonly<Record<string, string>>) => Promise<Namespace>;
  /** Makes a custom resource that is served when this resolves. */
  readonly define: (definition: Definition) => Promise<Custom>;
  /** Makes connections to a port of the server's host arrive at a socket in the file system: relay('10.99.0.1:8443', '/tmp/hook'). */
  readonly relay: (listen: string, connect: string) => Promise<void>;
}

export interface Namespace {
  readonly name: string;
  /** The path of objects in it: in('pods'), in('pods', 'a'), in('apps/v1 deployments', 'a'). */
  readonly in: (resource: string, ...rest: readonly string[]) => string;
}

export interface Version {
  readonly name: string;
  readonly schema?: object;
  readonly storage?: boolean;
  readonly served?: boolean;
  readonly [more: string]: unknown;
}

export interface Definition {
  readonly versions?: readonly Version[];
  readonly scope?: 'Namespaced' | 'Cluster';
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Custom {
  readonly crd: string;
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
  /** The path of objects: path('v1', 'name') or path('v1', 'name', 'namespace'). */
  readonly path: (version: string, name?: string, namespace?: string) => string;
  readonly object: (version: string, name: string, more?: Readonly<Record<string, unknown>>) => Record<string, unknown>;
}

/** The path of a resource: 'pods' or 'apps/v1 deployments'. */
export function pathOf(resource: string, namespace: string | undefined, ...rest: readonly string[]): string {
  const [version = '', plural] = resource.split(' ');
  const root = plural === undefined ? '/api/v1' : `/apis/${version}`;
  return [root, ...(namespace === undefined ? [] : ['namespaces', namespace]), plural ?? version, ...rest].join('/');
}

export const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
/** A schema that takes everything. */
export const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

let count = 0;
/** A name that no other test of this file has. */
export const unique = (prefix: string): string => `${prefix}-${++count}`;

/** A CustomResourceDefinition of a group of its own, and what its objects are called. */
export function definition(d: Definition): { readonly object: object; readonly custom: Custom } {
  const n = ++count;
  const group = `group${n}.example.com`;
  const plural = `things${n}`;
  const kind = `Thing${n}`;
  const scope = d.scope ?? 'Namespaced';
  const versions = (d.versions ?? [{ name: 'v1' }]).map(({ schema, ...version }, i) => ({
    served: true,
    storage: i === 0,
    schema: { openAPIV3Schema: schema ?? anything },
    ...version,
  }));
  const crd = `${plural}.${group}`;
  return {
    object: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: crd, ...(d.labels === undefined ? {} : { labels: d.labels }) },
      spec: { group, scope, names: { plural, kind, singular: `thing${n}`, listKind: `${kind}List` }, versions, ...d.spec },
    },
    custom: {
      crd,
      group,
      plural,
      kind,
      path: (version, name, namespace = 'default') =>
        pathOf(
          `${group}/${version} ${plural}`,
          scope === 'Cluster' ? undefined : namespace,
          ...(name === undefined || name === '' ? [] : [name]),
        ),
      object: (version, name, more = {}) => ({ apiVersion: `${group}/${version}`, kind, metadata: { name }, ...more }),
    },
  };
}

/** Starts a server before the tests of a file and takes it away after them. */
export function useCluster(...args: readonly string[]): Cluster {
  let scenario: Scenario | undefined;
  let node: ServerNode | undefined;
  let credentials: Credentials | undefined;
  const started = (): ServerNode => {
    if (node === undefined) throw new Error('the server is not started yet');
    return node;
  };
  const trust = (): Credentials => {
    if (credentials === undefined) throw new Error('the server is not started yet');
    return credentials;
  };
  const relay = async (listen: string, connect: string): Promise<void> => {
    const [enter = '', ...enterArgs] = started().host.enter;
    const child = spawn(enter, [...enterArgs, process.execPath, join(import.meta.dirname, 'relay.ts'), listen, connect], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    scenario?.cleanup.add(`relay ${listen}`, () => end(child, 'SIGTERM'));
    await once(child.stdout, 'data');
  };
  beforeAll(async () => {
    scenario = await createScenario();
    node = await scenario.addServer('server', args);
    await node.start();
    const config = parse(await node.ok(['config', 'view', '--raw'])) as {
      users: { user: Record<string, string> }[];
      clusters: { cluster: Record<string, string> }[];
    };
    const decode = (text = ''): Buffer => Buffer.from(text, 'base64');
    const socketPath = join(node.folder, 'api.sock');
    credentials = {
      socketPath,
      cert: decode(config.users[0]?.user['client-certificate-data']),
      key: decode(config.users[0]?.user['client-key-data']),
      ca: decode(config.clusters[0]?.cluster['certificate-authority-data']),
    };
    await relay(socketPath, '127.0.0.1:6443');
  });
  afterAll(async () => {
    await scenario?.[Symbol.asyncDispose]();
  });
  const api = createClient(trust);
  const plain = (): Credentials => ({ socketPath: trust().socketPath, ca: trust().ca });
  return {
    api,
    withToken: (token) => createClient(() => ({ ...plain(), token })),
    withCertificate: (cert, key) => createClient(() => ({ ...plain(), cert, key: Buffer.from(key) })),
    anonymous: createClient(plain),
    node: started,
    namespace: async (labels = {}) => {
      const name = unique('e2e');
      await api.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
      return { name, in: (resource, ...rest) => pathOf(resource, name, ...rest) };
    },
    define: async (d) => {
      const { object, custom } = definition(d);
      await api.post(crds, object);
      await established(api, custom.crd);
      return custom;
    },
    relay,
  };
}

interface Condition {
  readonly type: string;
  readonly status: string;
}

/** Waits until a custom resource is served. */
export function established(api: Client, crd: string): Promise<true> {
  return eventually(`${crd} is established`, async () => {
    const { status } = (await api.get(`${crds}/${crd}`)) as Obj & { status?: { conditions?: readonly Condition[] } };
    return status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True') === true ? true : undefined;
  });
}
