/** What nodes ask before and while they join: K3s' supervisor protocol under /v1-k3ts. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { nodes } from '#kube/refs.ts';
import { badRequest, StatusError } from '#kube/status-error.ts';
import { parseIp } from '#lib/cidr.ts';
import { type AltNames, type CertificateRequest, issueCertificate, noAltNames, readRequest, type Signer } from '#lib/x509.ts';
import type { Clock } from '#platform/clock.ts';
import type { ApiRequest, ApiResponse, ExtraRoute, ObjectStore } from '../contract.ts';
import { checkNodePassword } from './node-passwords.ts';

export interface JoinOptions {
  readonly store: ObjectStore;
  /** Authorities as they are now: they may be renewed while running. */
  readonly serverCa: () => Signer & { readonly certPem: string };
  readonly clientCa: () => Signer & { readonly certPem: string };
  readonly passwords: () => { readonly server: string; readonly agent: string };
  /** Body of /v1-k3ts/config. */
  readonly config: () => unknown;
  /** host:port of every server. */
  readonly apiServers: () => readonly string[];
  readonly clock: Clock;
}

type Joiner = { readonly kind: 'node'; readonly name: string } | { readonly kind: 'agent' | 'server' | 'bootstrap' };

const nodeUser = 'system:node:';
const certificateLifeMs = 365 * 24 * 3600 * 1000;
/** Issuing hashes passwords, at 32 MB each. */
const concurrentIssues = 4;

const equal = (a: string, b: string): boolean =>
  timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());

function basicJoiner(header: string | undefined, passwords: { readonly server: string; readonly agent: string }): Joiner | undefined {
  const match = /^basic\s+([A-Za-z0-9+/=_-]+)$/i.exec(header?.trim() ?? '');
  if (match === null) return undefined;
  const text = Buffer.from(match[1] ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const user = text.slice(0, colon);
  const password = text.slice(colon + 1);
  if (user === 'node' && (equal(password, passwords.agent) || equal(password, passwords.server))) return { kind: 'agent' };
  if (user === 'server' && equal(password, passwords.server)) return { kind: 'server' };
  return undefined;
}

/** Throws StatusError Unauthorized for whoever has neither the token nor a certificate of a node that still exists. */
function joinerOf(request: ApiRequest, options: JoinOptions): Joiner {
  const { name, groups } = request.user;
  if (groups.includes('system:nodes') && name.startsWith(nodeUser)) {
    const node = name.slice(nodeUser.length);
    if (options.store.get(nodes, '', node) === undefined)
      throw new StatusError('Unauthorized', `node "${node}" does not exist: join with the token`);
    return { kind: 'node', name: node };
  }
  if (groups.includes('system:bootstrappers')) return { kind: 'bootstrap' };
  const joiner = basicJoiner(request.headers['authorization'], options.passwords());
  if (joiner === undefined) throw new StatusError('Unauthorized', 'Unauthorized');
  return joiner;
}

const bytes = (body: string, contentType = 'text/plain', status = 200): ApiResponse => ({ type: 'bytes', status, contentType, body });
const json = (value: unknown): ApiResponse => bytes(JSON.stringify(value), 'application/json');

interface NodeHeaders {
  readonly name: string;
  readonly password: string;
  readonly ips: readonly string[];
}

function nodeHeaders(request: ApiRequest): NodeHeaders {
  const name = (request.headers['k3ts-node-name'] ?? '').toLowerCase();
  const password = request.headers['k3ts-node-password'] ?? '';
  if (name === '') throw badRequest('header k3ts-Node-Name is missing');
  if (password === '') throw badRequest('header k3ts-Node-Password is missing');
  if (name.length > 253 || !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name))
    throw badRequest(`header k3ts-Node-Name: "${name.slice(0, 300)}" is not a valid node name`);
  const ips = (request.headers['k3ts-node-ip'] ?? '')
    .split(',')
    .map((ip) => ip.trim())
    .filter((ip) => ip !== '');
  const bad = ips.find((ip) => parseIp(ip) === undefined);
  if (bad !== undefined) throw badRequest(`header k3ts-Node-IP: "${bad}" is not an IP address`);
  return { name, password, ips };
}

function requestOf(body: Uint8Array | undefined): CertificateRequest {
  if (body === undefined || body.length === 0) throw badRequest('the body must be a certificate request');
  try {
    return readRequest(body);
  } catch (error) {
    throw badRequest(`unable to parse the certificate request: ${error instanceof Error ? error.message : String(error)}`);
  }
}

interface Issue {
  readonly commonName: (node: NodeHeaders) => string;
  readonly organizations: readonly string[];
  readonly usage: 'client auth' | 'server auth';
  readonly altNames?: (node: NodeHeaders) => AltNames;
  readonly authority: () => Signer & { readonly certPem: string };
}

async function issue(request: ApiRequest, options: JoinOptions, what: Issue): Promise<ApiResponse> {
  const joiner = joinerOf(request, options);
  const node = nodeHeaders(request);
  if (joiner.kind === 'node' && joiner.name !== node.name)
    throw new StatusError('Forbidden', `node "${joiner.name}" may not ask for a certificate of node "${node.name}"`);
  const csr = requestOf(request.body);
  await checkNodePassword(options.store, node.name, node.password);
  const now = options.clock.now();
  const authority = what.authority();
  const cert = issueCertificate(
    {
      subject: { commonName: what.commonName(node), organizations: what.organizations },
      publicKey: csr.publicKey,
      notBefore: new Date(now - 5 * 60_000),
      notAfter: new Date(now + certificateLifeMs),
      keyUsages: ['digital signature', 'key encipherment'],
      extendedUsages: [what.usage],
      ...(what.altNames === undefined ? {} : { altNames: what.altNames(node) }),
    },
    authority,
  );
  return bytes(cert + authority.certPem, 'application/x-pem-file');
}

/** Lets only so many run at once; the others are told to come again. */
function limited(limit: number, handle: ExtraRoute['handle']): ExtraRoute['handle'] {
  let running = 0;
  return async (request) => {
    if (running >= limit)
      throw new StatusError('TooManyRequests', 'too many nodes are joining at once, try again', { details: { retryAfterSeconds: 1 } });
    running++;
    try {
      return await handle(request);
    } finally {
      running--;
    }
  };
}

function issueRoutes(options: JoinOptions): readonly ExtraRoute[] {
  const client = { usage: 'client auth', authority: options.clientCa } as const;
  const kinds: Readonly<Record<string, Issue>> = {
    'client-kubelet.crt': { ...client, commonName: (n) => `${nodeUser}${n.name}`, organizations: ['system:nodes'] },
    'client-kube-proxy.crt': { ...client, commonName: () => 'system:kube-proxy', organizations: [] },
    'client-k3ts-controller.crt': { ...client, commonName: () => 'system:k3ts-controller', organizations: [] },
    'serving-kubelet.crt': {
      usage: 'server auth',
      authority: options.serverCa,
      commonName: (n) => n.name,
      organizations: [],
      altNames: (n) => ({ ...noAltNames, dns: [n.name, 'localhost'], ip: [...new Set(['127.0.0.1', '::1', ...n.ips])] }),
    },
  };
  const byPath = async (request: ApiRequest): Promise<ApiResponse> => {
    const what = kinds[request.path.slice('/v1-k3ts/'.length)];
    if (what === undefined) throw new StatusError('NotFound', 'the server could not find the requested resource');
    return await issue(request, options, what);
  };
  const handle = limited(concurrentIssues, byPath);
  return Object.keys(kinds).map((name) => ({ methods: ['POST'], path: `/v1-k3ts/${name}`, access: 'none', handle }));
}

/** Routes for the API server's extraRoutes. They check their callers themselves. */
export function joinRoutes(options: JoinOptions): readonly ExtraRoute[] {
  const open = (path: string, answer: () => ApiResponse): ExtraRoute => ({
    methods: ['GET'],
    path,
    access: 'none',
    handle: () => Promise.resolve(answer()),
  });
  const joined = (path: string, answer: () => ApiResponse): ExtraRoute => ({
    methods: ['GET'],
    path,
    access: 'none',
    handle: async (request) => {
      joinerOf(request, options);
      return await Promise.resolve(answer());
    },
  });
  return [
    open('/cacerts', () => bytes(options.serverCa().certPem)),
    open('/ping', () => bytes('pong')),
    joined('/v1-k3ts/config', () => json(options.config())),
    joined('/v1-k3ts/apiservers', () => json(options.apiServers())),
    joined('/v1-k3ts/server-ca.crt', () => bytes(options.serverCa().certPem)),
    joined('/v1-k3ts/client-ca.crt', () => bytes(options.clientCa().certPem)),
    ...issueRoutes(options),
  ];
}
