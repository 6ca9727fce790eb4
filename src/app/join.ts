/** How a node becomes part of a cluster: it checks the server's authority against the token, and gets its certificate. */
import { createPrivateKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { join } from 'node:path';
import { createRequest } from '#lib/x509.ts';
import { newKey, renewalTime } from '#pki/certificates.ts';
import { readText, writeAtomically } from '#pki/files.ts';
import { type JoinToken, parseToken, trustsAuthority } from '#pki/tokens.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';

export interface JoinOptions {
  /** https://host:port */
  readonly server: string;
  readonly token: string;
  readonly nodeName: string;
  readonly nodeIp: string;
  /** <data dir>/agent */
  readonly folder: string;
}

/** What a node has once it has joined: one key, and a certificate for each part that speaks to the server. */
export interface NodeIdentity {
  readonly caPem: string;
  readonly keyPem: string;
  readonly certificates: Certificates;
}

/**
 * `kubelet` is system:node:<name>; `proxy` is system:kube-proxy, which may read services and endpoints; `policy` is
 * system:k3ts-controller, which may read network policies and the pods and namespaces they select.
 */
type NodePart = 'kubelet' | 'proxy' | 'policy';
type Certificates = Readonly<Record<NodePart, string>>;

const certificateNames: Readonly<Record<NodePart, string>> = {
  kubelet: 'client-kubelet.crt',
  proxy: 'client-kube-proxy.crt',
  policy: 'client-k3ts-controller.crt',
};

/** What the server tells nodes about the cluster: the body of /v1-k3ts/config. */
export interface ClusterConfig {
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  readonly clusterDns: string;
  readonly clusterDomain: string;
}

interface Answer {
  readonly code: number;
  readonly body: string;
}

interface Ask {
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Absent: the server is not verified. Only /cacerts is asked so, and its answer is checked against the token. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly signal: AbortSignal;
}

const askTimeoutMs = 10_000;
const maxAnswerBytes = 1024 * 1024;
const retryMs = 1000;

function ask(what: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { url, method = 'GET', headers = {}, body, ca, cert, key, signal } = what;
    const outgoing = request(
      url,
      {
        method,
        headers,
        signal,
        agent: false,
        timeout: askTimeoutMs,
        ...(ca === undefined ? { rejectUnauthorized: false } : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
      },
      (incoming) => {
        let text = '';
        incoming.setEncoding('utf8');
        incoming.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > maxAnswerBytes) outgoing.destroy(new Error('the answer is too long'));
        });
        incoming.on('error', reject);
        incoming.on('end', () => resolve({ code: incoming.statusCode ?? 0, body: text }));
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 10 s')));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Turns what went wrong into what the user can do. */
function explain(error: unknown, server: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `the certificate of ${server} does not name that address (${message}): start the server with --tls-san for it`;
  if (code === 'ECONNREFUSED') return `nothing listens at ${server}`;
  return `${server}: ${message}`;
}

const messageOf = (answer: Answer): string => {
  try {
    const status: unknown = JSON.parse(answer.body);
    if (typeof status === 'object' && status !== null && 'message' in status) return String(status.message);
  } catch {
    // Not a Status: the text itself says it.
  }
  return answer.body.slice(0, 500);
};

/** A refusal that trying again will not change, until the user changes something. */
class Refused extends Error {}

async function fetchAuthority(options: JoinOptions, token: JoinToken, signal: AbortSignal): Promise<string> {
  const answer = await ask({ url: `${options.server}/cacerts`, signal });
  if (answer.code !== 200) throw new Error(`/cacerts answered ${answer.code}: ${messageOf(answer)}`);
  if (!trustsAuthority(token, answer.body))
    throw new Refused(`the token is not for the cluster at ${options.server}: the hash in it is not that of the server's authority`);
  return answer.body;
}

interface Credentials {
  readonly cert?: string;
  readonly key?: string;
  readonly headers: Readonly<Record<string, string>>;
}

const withToken = (token: JoinToken): Credentials => ({
  headers: {
    authorization: token.bootstrap
      ? `Bearer ${token.password}`
      : `Basic ${Buffer.from(`${token.user ?? 'node'}:${token.password}`).toString('base64')}`,
  },
});

async function nodePassword(folder: string): Promise<string> {
  const file = join(folder, 'node-password');
  const stored = (await readText(file))?.trim();
  if (stored !== undefined && stored !== '') return stored;
  const made = randomBytes(16).toString('hex');
  await writeAtomically(file, `${made}\n`);
  return made;
}

interface Stored {
  readonly key: KeyObject;
  readonly keyPem: string;
  /** Absent when one of them is missing or can no longer be used. */
  readonly certificates?: Certificates;
}

const caFile = (folder: string): string => join(folder, 'server-ca.crt');
const keyFile = (folder: string): string => join(folder, 'client-kubelet.key');

async function stored(options: JoinOptions, now: number): Promise<Stored> {
  const { folder } = options;
  const keyText = await readText(keyFile(folder));
  if (keyText === undefined) {
    const made = newKey();
    const keyPem = made.export({ type: 'pkcs8', format: 'pem' }).toString();
    await writeAtomically(keyFile(folder), keyPem);
    return { key: made, keyPem };
  }
  const pair = { key: createPrivateKey(keyText), keyPem: keyText };
  const kubelet = await readText(join(folder, certificateNames.kubelet));
  const proxy = await readText(join(folder, certificateNames.proxy));
  const policy = await readText(join(folder, certificateNames.policy));
  if (kubelet === undefined || proxy === undefined || policy === undefined) return pair;
  const usable = [kubelet, proxy, policy].every((text) => {
    const parsed = new X509Certificate(text);
    return parsed.checkPrivateKey(pair.key) && Date.parse(parsed.validTo) > now;
  });
  const named = new X509Certificate(kubelet).subject.split('\n').includes(`CN=system:node:${options.nodeName}`);
  return usable && named ? { ...pair, certificates: { kubelet, proxy, policy } } : pair;
}

async function fetchCertificates(
  options: JoinOptions,
  caPem: string,
  pair: Stored,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<Certificates> {
  const password = await nodePassword(options.folder);
  const fetchOne = async (name: string): Promise<string> => {
    const answer = await ask({
      ...credentials,
      url: `${options.server}/v1-k3ts/${name}`,
      method: 'POST',
      ca: caPem,
      headers: {
        ...credentials.headers,
        'content-type': 'application/x-pem-file',
        'k3ts-node-name': options.nodeName,
        'k3ts-node-password': password,
        'k3ts-node-ip': options.nodeIp,
      },
      body: createRequest(pair.key, { commonName: `system:node:${options.nodeName}`, organizations: ['system:nodes'] }),
      signal,
    });
    if (answer.code === 401) throw new Refused('the server refuses the token');
    if (answer.code !== 200) throw new Error(`no certificate for node "${options.nodeName}": ${answer.code}: ${messageOf(answer)}`);
    await writeAtomically(join(options.folder, name), answer.body);
    return answer.body;
  };
  // One after the other: the first records the node's password.
  const kubelet = await fetchOne(certificateNames.kubelet);
  const [proxy, policy] = await Promise.all([fetchOne(certificateNames.proxy), fetchOne(certificateNames.policy)]);
  return { kubelet, proxy, policy };
}

async function joinOnce(
  options: JoinOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ identity: NodeIdentity; config: ClusterConfig }> {
  const token = parseToken(options.token);
  const caPem = await fetchAuthority(options, token, signal);
  if ((await readText(caFile(options.folder))) !== caPem) await writeAtomically(caFile(options.folder), caPem);
  const pair = await stored(options, clock.now());
  let { certificates } = pair;
  const asNode = (held: Certificates): Credentials => ({ cert: held.kubelet, key: pair.keyPem, headers: {} });
  const config = async (credentials: Credentials): Promise<Answer> =>
    ask({ ...credentials, url: `${options.server}/v1-k3ts/config`, ca: caPem, signal });
  // The node's own certificate first; when the server does not know it any more, the token again.
  let answer = certificates === undefined ? undefined : await config(asNode(certificates));
  if (certificates === undefined || answer?.code === 401 || answer?.code === 403) {
    certificates = await fetchCertificates(options, caPem, pair, withToken(token), signal);
    answer = await config(withToken(token));
  } else if (renewAt(certificates) <= clock.now()) {
    certificates = await fetchCertificates(options, caPem, pair, asNode(certificates), signal);
  }
  if (answer?.code !== 200) throw new Error(`/v1-k3ts/config answered ${answer?.code}: ${answer === undefined ? '' : messageOf(answer)}`);
  return { identity: { caPem, keyPem: pair.keyPem, certificates }, config: decodeConfig(answer.body) };
}

const renewAt = (certificates: Certificates): number => Math.min(...Object.values(certificates).map(renewalTime));

function decodeConfig(text: string): ClusterConfig {
  const value: unknown = JSON.parse(text);
  const field = (name: keyof ClusterConfig): string => {
    const found = typeof value === 'object' && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined;
    if (typeof found !== 'string') throw new Error(`/v1-k3ts/config: ${name} is missing`);
    return found;
  };
  return {
    clusterCidr: field('clusterCidr'),
    serviceCidr: field('serviceCidr'),
    clusterDns: field('clusterDns'),
    clusterDomain: field('clusterDomain'),
  };
}

/** Tries until the server takes the node in, telling in the log why not yet. Rejects when the signal aborts. */
export async function joinCluster(
  options: JoinOptions,
  deps: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<{ identity: NodeIdentity; config: ClusterConfig }> {
  let told = '';
  for (let delay = 50; ; delay = Math.min(retryMs, delay * 2)) {
    try {
      return await joinOnce(options, deps.clock, signal);
    } catch (error) {
      signal.throwIfAborted();
      const why = explain(error, options.server);
      // While the server is still starting there is nothing to tell; afterwards each reason once.
      if (why !== told && (error instanceof Refused || delay >= retryMs)) {
        deps.log.warn('cannot join yet, will try again', { reason: why });
        told = why;
      }
      await deps.clock.sleep(delay, signal);
    }
  }
}

/** When the certificates are to be renewed, in milliseconds since the epoch. */
export const renewIdentityAt = (identity: NodeIdentity): number => renewAt(identity.certificates);
