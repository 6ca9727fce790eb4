/** Everything secret that a server makes for itself, in <data dir>/server: authorities, certificates, keys, tokens. */
import { chmod, mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { parseIp } from '#lib/cidr.ts';
import { type AltNames, noAltNames } from '#lib/x509.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { ensureAuthority, ensureLeaf, type KeyPair } from './certificates.ts';
import { ensureServerTokens, type ServerTokens } from './server-tokens.ts';
import { ensureServiceAccountKeys, type ServiceAccountKeys } from './service-account-keys.ts';

export interface PkiOptions {
  /** Addresses and names under which this server is reached: advertise address, node IPs, host name, --tls-san. */
  readonly names: readonly string[];
  /** First address of each service network. */
  readonly serviceIps: readonly string[];
  /** Default cluster.local. */
  readonly clusterDomain?: string;
  /** --token, full or short; absent: the stored one, or a new one. */
  readonly token?: string;
  /** --agent-token; absent: the server token's password. */
  readonly agentToken?: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface Pki {
  readonly serverCa: KeyPair;
  readonly clientCa: KeyPair;
  readonly requestHeaderCa: KeyPair;
  /** What the HTTPS server shows. */
  readonly serving: KeyPair;
  /** system:admin in system:masters: the user's kubeconfig. */
  readonly admin: KeyPair;
  /** What k3ts' own commands use on the server. */
  readonly supervisor: KeyPair;
  /** With which the server identifies itself to aggregated API servers. */
  readonly authProxy: KeyPair;
  readonly serviceAccountKeys: ServiceAccountKeys;
  readonly tokens: ServerTokens;
  readonly tlsDir: string;
  /** When ensurePki is to be called again. */
  readonly renewAt: number;
  /** Names of what this call made, empty on a warm start. */
  readonly issued: readonly string[];
}

/** The names of the serving certificate. */
export function servingNames(options: Pick<PkiOptions, 'names' | 'serviceIps' | 'clusterDomain'>): AltNames {
  const domain = options.clusterDomain ?? 'cluster.local';
  const all = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    `kubernetes.default.svc.${domain}`,
    'localhost',
    '127.0.0.1',
    '::1',
    ...options.serviceIps,
    ...options.names,
    hostname(),
  ];
  const unique = [...new Set(all.map((n) => n.trim()).filter((n) => n !== ''))];
  return { ...noAltNames, dns: unique.filter((n) => parseIp(n) === undefined), ip: unique.filter((n) => parseIp(n) !== undefined) };
}

/**
 * Makes what is missing or due and reads the rest. `dir` is <data dir>/server. Cheap when nothing is due, so it is
 * called again for renewal and whenever the addresses change. Throws when an authority's files are damaged or the given
 * token is not that of this server.
 */
export async function ensurePki(dir: string, options: PkiOptions): Promise<Pki> {
  const tlsDir = join(dir, 'tls');
  await mkdir(tlsDir, { recursive: true, mode: 0o700 });
  await chmod(dir, 0o700);
  const { now } = options;
  const [serverCa, clientCa, requestHeaderCa, serviceAccountKeys] = await Promise.all([
    ensureAuthority(tlsDir, 'server-ca', now),
    ensureAuthority(tlsDir, 'client-ca', now),
    ensureAuthority(tlsDir, 'request-header-ca', now),
    ensureServiceAccountKeys(tlsDir),
  ]);
  const client = (name: string, commonName: string, organizations: readonly string[], authority: KeyPair) =>
    ensureLeaf(tlsDir, { name, commonName, organizations, usages: ['client auth'] }, authority, now);
  const [serving, admin, supervisor, authProxy, tokens] = await Promise.all([
    ensureLeaf(
      tlsDir,
      { name: 'serving-kube-apiserver', commonName: 'kube-apiserver', usages: ['server auth'], altNames: servingNames(options) },
      serverCa,
      now,
    ),
    client('client-admin', 'system:admin', ['system:masters'], clientCa),
    client('client-supervisor', 'system:k3ts-supervisor', ['system:masters'], clientCa),
    client('client-auth-proxy', 'system:auth-proxy', [], requestHeaderCa),
    ensureServerTokens(dir, options, serverCa.certPem),
  ]);
  const pairs = { serverCa, clientCa, requestHeaderCa, serving, admin, supervisor, authProxy };
  return {
    ...pairs,
    serviceAccountKeys,
    tokens,
    tlsDir,
    renewAt: Math.min(...Object.values(pairs).map((p) => p.renewAt)),
    issued: Object.entries(pairs).flatMap(([name, pair]) => (pair.issued ? [name] : [])),
  };
}

/** Longest wait between looks at the certificates: a machine that slept, or whose clock was set, is noticed. */
const longestWaitMs = 6 * 3600 * 1000;

/**
 * Renews while the server runs: waits until something is due, makes it, and hands the whole to `onChange`. A failure is
 * logged and tried again within the hour. Ends when the signal aborts.
 */
export async function keepPki(
  dir: string,
  current: () => Omit<PkiOptions, 'now'>,
  onChange: (pki: Pki) => void,
  deps: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  let wait = 60_000;
  while (!signal.aborted) {
    await deps.clock.sleep(wait, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      const pki = await ensurePki(dir, { ...current(), now: deps.clock.now() });
      if (pki.issued.length > 0) {
        deps.log.info('certificates renewed', { certificates: pki.issued });
        onChange(pki);
      }
      wait = Math.max(60_000, Math.min(longestWaitMs, pki.renewAt - deps.clock.now()));
    } catch (error) {
      deps.log.error('certificates could not be renewed', { error });
      wait = 3600 * 1000;
    }
  }
}
