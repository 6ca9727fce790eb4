/** The API server with its store, keys and rules, put together: everything of a server that is not a loop of its own. */
import { createPrivateKey } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createAdmissionPlugins } from '#apiserver/admission/index.ts';
import { createWebhookCaller } from '#apiserver/admission/webhook-client.ts';
import { createAudit } from '#apiserver/audit/audit.ts';
import { deliver } from '#apiserver/audit/delivery.ts';
import { openAuditLog } from '#apiserver/audit/log-file.ts';
import { createAuditFigures, unionSink } from '#apiserver/audit/sink.ts';
import { auditWebhook } from '#apiserver/audit/webhook.ts';
import { type Auth, createAuth } from '#apiserver/auth.ts';
import { httpsFetch } from '#apiserver/authn/https-json.ts';
import { componentStatusReader } from '#apiserver/component-status.ts';
import type { UserInfo } from '#apiserver/contract.ts';
import { createFlowControl, type FlowControl } from '#apiserver/flowcontrol/flow-control.ts';
import type { HttpServer, TlsMaterial } from '#apiserver/http/server.ts';
import { createInProcessTransport } from '#apiserver/in-process.ts';
import { type ApiServer, createApiServer } from '#apiserver/server.ts';
import { createServiceDialer } from '#apiserver/service-endpoints.ts';
import { nodeSubresources } from '#apiserver/subresources/streams.ts';
import { createTunnel, type Tunnel } from '#apiserver/tunnel.ts';
import { parseServed, presentStored } from '#apiserver/view.ts';
import type { KubeClient } from '#client/contract.ts';
import { createKubeClient } from '#client/kube-client.ts';
import { gitVersion } from '#kube/version.ts';
import { cidrAddress, parseCidr } from '#lib/cidr.ts';
import type { KeyPair } from '#pki/certificates.ts';
import { ensurePki, type Pki, type PkiOptions } from '#pki/pki.ts';
import type { ServerTokens } from '#pki/server-tokens.ts';
import { keyIdOf } from '#pki/service-account-keys.ts';
import { useStagedAuthorities } from '#pki/staged-authorities.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import { builtinKinds } from '#resources/index.ts';
import type { Store, WatchCache } from '#store/contract.ts';
import { createSqliteStore } from '#store/drivers/sqlite/sqlite-store.ts';
import { createWatchCache } from '#store/watch-cache.ts';
import type { ApiserverSettings } from './apiserver-args.ts';
import { paths, type ServerConfig } from './config.ts';
import { openFileEncryption } from './encryption-file.ts';
import { componentChecks, type ServerHealth, serverChecks } from './health-checks.ts';
import type { ClusterConfig } from './join.ts';
import { lateObjectStore } from './late.ts';
import { openSecretsEncryption, type SecretsEncryption } from './secrets-encryption.ts';
import type { SecuritySettings } from './security-args.ts';
import { securityFileTasks } from './security-files.ts';
import { startThread } from './threads.ts';
import { createTokenRotation } from './token-rotation.ts';
import { buildInfo } from './version.ts';

/** What reading 3 MB of YAML with a key in each short line takes. */
const yamlThreadMb = 512;

export interface Platform {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface ControlPlane {
  readonly store: Store;
  readonly cache: WatchCache;
  readonly api: ApiServer;
  readonly auth: Auth;
  readonly flowControl: FlowControl;
  readonly encryption: Pick<SecretsEncryption, 'start' | 'stop'>;
  readonly http: HttpServer;
  readonly tunnel: Tunnel;
  /** What keeps up with files that change. */
  readonly fileTasks: readonly ((signal: AbortSignal) => Promise<void>)[];
  /** Writes the audit events that are pending. */
  readonly closeAudit: () => Promise<void>;
  /** Keys and certificates as they are now. */
  readonly pki: () => Pki;
  readonly tokens: () => ServerTokens;
  /** Puts renewed certificates into use. */
  readonly usePki: (pki: Pki) => void;
  readonly pkiOptions: () => Omit<PkiOptions, 'now'>;
  /** A client that acts as a user, in process. */
  readonly clientFor: (user: string) => KubeClient;
}

const accountPrefix = 'system:serviceaccount:';

/** Upstream's components name themselves so; the first part is the manager in managedFields. */
const userAgentOf = (user: string): string =>
  `${user === 'system:kube-scheduler' ? 'kube-scheduler' : 'kube-controller-manager'}/${gitVersion}/${user}`;

/** The groups that come with a name, as authentication would give them. */
function userOf(name: string): UserInfo {
  if (!name.startsWith(accountPrefix)) return { name, groups: ['system:authenticated'] };
  const namespace = name.slice(accountPrefix.length).split(':')[0] ?? '';
  return { name, groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'] };
}

const tlsOf = (pki: Pki): TlsMaterial => ({
  cert: pki.serving.certPem,
  key: pki.serving.keyPem,
  clientCa: pki.clientCa.certPem + pki.requestHeaderCa.certPem,
});

const signerOf = (pair: KeyPair) => ({ certPem: pair.certPem, key: createPrivateKey(pair.keyPem) });
const authoritiesOf = (pki: Pki) => ({ server: signerOf(pki.serverCa), client: signerOf(pki.clientCa) });

function pkiOptionsOf(config: ServerConfig): Omit<PkiOptions, 'now'> {
  const services = parseCidr(config.serviceCidr);
  const listening = ['0.0.0.0', '::'].includes(config.bindAddress) ? [] : [config.bindAddress];
  return {
    names: [config.advertiseAddress, config.node.ip, config.node.name, ...listening, ...config.tlsSans],
    serviceIps: services === undefined ? [] : [cidrAddress(services, 1n)],
    clusterDomain: config.clusterDomain,
  };
}

/** The audit with the log and the webhook that are configured. Rejects when the log cannot be opened. */
async function openAudit(settings: NonNullable<SecuritySettings['audit']>, deps: { readonly clock: Clock; readonly log: Logger }) {
  const figures = createAuditFigures();
  const own = { ...deps, figures };
  const { log, webhook } = settings;
  const sink = unionSink([
    ...(log === undefined ? [] : [deliver(await openAuditLog(log.file, own), log.delivery, own)]),
    ...(webhook === undefined ? [] : [deliver(auditWebhook(webhook.endpoint, { ...own, fetch: httpsFetch }), webhook.delivery, own)]),
  ]);
  return {
    ...createAudit(settings.policy, { sink, clock: deps.clock, figures }),
    addMetrics: figures.register,
    close: sink.close,
  };
}

/** Opens the store and makes what is missing. Rejects with an Error that says what is wrong. */
export async function createControlPlane(
  config: ServerConfig,
  settings: ApiserverSettings & { readonly security: SecuritySettings },
  health: ServerHealth,
  platform: Platform,
): Promise<ControlPlane> {
  const { clock, random, log } = platform;
  const where = paths(config.dataDir);
  mkdirSync(dirname(where.database), { recursive: true, mode: 0o700 });
  const pkiOptions = pkiOptionsOf(config);
  const { security } = settings;
  const staged = await useStagedAuthorities(where.server);
  if (staged.length > 0) log.info('authorities were replaced', { files: staged });
  const [firstPki, bareStore] = await Promise.all([
    // The token only now: later it may have been rotated.
    ensurePki(where.server, { ...pkiOptions, ...(config.token === undefined ? {} : { token: config.token }), now: clock.now() }),
    createSqliteStore(
      {
        file: where.database,
        startWorker: (data) => startThread('store-worker', data),
        ...(settings.historyMs === undefined ? {} : { historyMs: settings.historyMs }),
      },
      { clock, log: log.child('store') },
    ),
  ]);
  const encryptionLog = { clock, log: log.child('encryption') };
  const ownRules = security.encryption === undefined ? undefined : await openFileEncryption(security.encryption, encryptionLog);
  const encryption = await openSecretsEncryption(
    bareStore,
    {
      folder: where.credentials,
      ...(ownRules === undefined ? {} : { fixed: ownRules.policy }),
      ...(config.secretsEncryption === undefined ? {} : { provider: config.secretsEncryption }),
    },
    encryptionLog,
  );
  const { store } = encryption;
  const audit = security.audit === undefined ? undefined : await openAudit(security.audit, { clock, log: log.child('audit') });
  let pki = firstPki;
  let authorities = authoritiesOf(firstPki);
  const rotation = createTokenRotation(where.server, firstPki.tokens, () => pki.serverCa.certPem, log.child('token'));
  const accountKeysOf = ({ serviceAccountKeys: own }: Pki) => ({
    signing: own.signing,
    verifying: [...own.verifying, ...security.accountKeys],
  });
  let accountKeys = accountKeysOf(firstPki);
  const cache = await createWatchCache(store, { present: presentStored, parse: parseServed }, { clock, log: log.child('cache') });
  const objects = lateObjectStore();
  const address = `${config.advertiseAddress}:${config.port}`;
  const cluster: ClusterConfig = {
    clusterCidr: config.clusterCidr,
    serviceCidr: config.serviceCidr,
    clusterDns: config.clusterDns,
    clusterDomain: config.clusterDomain,
  };
  const auth = createAuth(
    {
      serverCa: () => authorities.server,
      clientCa: () => authorities.client,
      requestHeaderCa: () => pki.requestHeaderCa.certPem,
      serviceAccountKeys: () => accountKeys,
      keyId: keyIdOf,
      joinPasswords: () => ({ server: rotation.tokens().serverPassword, agent: rotation.tokens().agentPassword }),
    },
    {
      issuers: settings.issuers,
      ...(settings.audiences === undefined ? {} : { audiences: settings.audiences }),
      ...(settings.tokenFile === undefined ? {} : { tokenFile: settings.tokenFile }),
      anonymous: security.anonymous ?? settings.anonymous,
      ...security.auth,
      jwksUri: () => `https://${address}/openid/v1/jwks`,
      joinConfig: () => cluster,
      apiServers: () => [address],
    },
    { cache, store: objects.store, clock, log: log.child('auth') },
  );
  const flowControl = createFlowControl({}, { cache, store: objects.store, clock, log: log.child('flow-control') });
  const tunnel = createTunnel({ clock, log: log.child('tunnel') });
  const api: ApiServer = createApiServer({
    cache,
    kinds: builtinKinds,
    authorize: audit === undefined ? auth.authorize : audit.authorize(auth.authorize),
    around: [flowControl.handle, ...(audit === undefined ? [] : [audit.handle])],
    admission: (own, metrics) =>
      createAdmissionPlugins({
        objects: own,
        clock,
        random,
        log: log.child('admission'),
        authorize: auth.authorize,
        dialService: createServiceDialer(tunnel, own),
        others: auth.admission,
        metrics,
        ...settings.admission,
      }),
    startYamlThread: () => startThread('yaml-worker', undefined, { maxOldGenerationSizeMb: yamlThreadMb }),
    remoteAccess: (own) => ({
      dial: createServiceDialer(tunnel, own),
      proxyClient: () => ({ cert: pki.authProxy.certPem, key: pki.authProxy.keyPem }),
    }),
    callWebhook: (own) => createWebhookCaller(createServiceDialer(tunnel, own), clock),
    subresources: [...auth.subresources, ...nodeSubresources(tunnel)],
    reviews: auth.reviews,
    computed: [componentStatusReader(() => componentChecks(health.readiness, { store, cache, clock }))],
    extraRoutes: [...auth.routes, ...tunnel.routes, ...encryption.routes, ...rotation.routes, ...flowControl.routes],
    clock,
    random,
    log: log.child('apiserver'),
    storeStats: store.stats,
    checks: () => [...serverChecks(health, { store, cache, clock }, api.hooks.checks), ...(ownRules?.checks() ?? [])],
    config: {
      version: buildInfo(),
      serverAddress: () => address,
      serviceCidrs: [config.serviceCidr],
      nodePortRange: { from: config.nodePorts.first, to: config.nodePorts.last },
      ...(settings.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: settings.requestTimeoutMs }),
    },
  });
  objects.bind(api.objects);
  flowControl.addMetrics(api.metrics);
  audit?.addMetrics(api.metrics);
  const fileTasks = [
    ...securityFileTasks(security.files, auth, { clock, log: log.child('auth'), metrics: api.metrics }),
    ...(ownRules === undefined ? [] : [ownRules.task(encryption.usePolicy, api.metrics)]),
  ];
  const http = api.createHttp({
    tls: tlsOf(pki),
    authenticate: audit === undefined ? auth.authenticate : audit.authenticate(auth.authenticate),
  });
  return {
    store,
    cache,
    api,
    auth,
    http,
    tunnel,
    flowControl,
    encryption,
    fileTasks,
    closeAudit: async () => await audit?.close(),
    pki: () => pki,
    tokens: rotation.tokens,
    usePki: (renewed) => {
      pki = renewed;
      authorities = authoritiesOf(renewed);
      accountKeys = accountKeysOf(renewed);
      http.setTls(tlsOf(renewed));
    },
    pkiOptions: () => pkiOptions,
    clientFor: (user) => createKubeClient(createInProcessTransport(api, userOf(user), userAgentOf(user))),
  };
}
