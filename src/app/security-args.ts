/** The --kube-apiserver-arg settings that name files about who may do what: identity providers, webhooks, audit, encryption. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { AuthOptions } from '#apiserver/auth.ts';
import { type AuthenticationConfiguration, parseAuthenticationConfig } from '#apiserver/authn/authentication-config.ts';
import { issuerFromFlags, type OidcFlags } from '#apiserver/authn/oidc-config.ts';
import { type AuthorizerSpec, parseAuthorizationConfig } from '#apiserver/authz/authorization-config.ts';
import { readWebhookConfig } from '#apiserver/webhook-config.ts';
import { pemBlocks } from '#lib/pem.ts';
import { parseEncryptionConfig } from '#store/encryption-config.ts';
import { type Args, boolean, duration, failed, fromFile, list } from './arg-values.ts';
import { type AuditSettings, auditArgs, auditSettings } from './audit-args.ts';
import type { EncryptionFile } from './encryption-file.ts';
import { OptionError } from './options.ts';

const own = [
  'authentication-config',
  'authentication-token-webhook-cache-ttl',
  'authentication-token-webhook-config-file',
  'authorization-config',
  'authorization-mode',
  'authorization-webhook-cache-authorized-ttl',
  'authorization-webhook-cache-unauthorized-ttl',
  'authorization-webhook-config-file',
  'encryption-provider-config',
  'encryption-provider-config-automatic-reload',
  'oidc-ca-file',
  'oidc-client-id',
  'oidc-groups-claim',
  'oidc-groups-prefix',
  'oidc-issuer-url',
  'oidc-required-claim',
  'oidc-signing-algs',
  'oidc-username-claim',
  'oidc-username-prefix',
  'service-account-key-file',
] as const;

type Name = (typeof own)[number];

export const securityArgs: readonly string[] = [...auditArgs, ...own];

export interface SecuritySettings {
  readonly auth: Pick<AuthOptions, 'oidc' | 'tokenWebhook' | 'authorizers' | 'anonymousPaths'>;
  /** Files that are read anew when they change: what they hold now, and how they are read. */
  readonly files: {
    readonly authentication?: FollowedFile<AuthenticationConfiguration>;
    readonly authorization?: FollowedFile<readonly AuthorizerSpec[]>;
  };
  /** False where an AuthenticationConfiguration says so. */
  readonly anonymous: boolean | undefined;
  readonly audit: AuditSettings | undefined;
  readonly encryption: EncryptionFile | undefined;
  /** Further public keys whose service-account tokens are good: --service-account-key-file, several with commas between. */
  readonly accountKeys: readonly KeyObject[];
}

export interface FollowedFile<T> {
  readonly path: string;
  readonly text: string;
  /** Throws or rejects with an Error that says what is wrong with a text. */
  readonly parse: (text: string) => T | Promise<T>;
}

interface ReadFile<T> extends FollowedFile<T> {
  readonly value: T;
}

async function accountKeysOf(args: Args): Promise<readonly KeyObject[]> {
  const files = list(args.get('service-account-key-file')) ?? [];
  try {
    const texts = await Promise.all(files.map((path) => readFile(path, 'utf8')));
    return texts.flatMap((text, i) => {
      const keys = pemBlocks(text).map((b) => createPublicKey(b.text));
      if (keys.length === 0) throw new Error(`data does not contain any valid RSA or ECDSA public keys: ${files[i] ?? ''}`);
      return keys;
    });
  } catch (error) {
    throw failed('service-account-key-file', error);
  }
}

async function oidcIssuer(args: Args) {
  const ca = await fromFile(args, 'oidc-ca-file', (path) => readFile(path, 'utf8'));
  const text = (name: Name): Partial<OidcFlags> => {
    const value = args.get(name);
    return value === undefined ? {} : { [name]: value };
  };
  const required = list(args.get('oidc-required-claim'));
  const algorithms = list(args.get('oidc-signing-algs'));
  const flags: OidcFlags = {
    ...text('oidc-issuer-url'),
    ...text('oidc-client-id'),
    ...text('oidc-username-claim'),
    ...text('oidc-username-prefix'),
    ...text('oidc-groups-claim'),
    ...text('oidc-groups-prefix'),
    ...(required === undefined ? {} : { 'oidc-required-claim': required }),
    ...(algorithms === undefined ? {} : { 'oidc-signing-algs': algorithms }),
    ...(ca === undefined ? {} : { ca }),
  };
  try {
    return issuerFromFlags(flags);
  } catch (error) {
    throw failed('oidc-issuer-url', error);
  }
}

const followed =
  <T>(parse: FollowedFile<T>['parse']) =>
  async (path: string): Promise<ReadFile<T>> => {
    const text = await readFile(path, 'utf8');
    return { path, text, parse, value: await parse(text) };
  };

const modes = ['AlwaysAllow', 'AlwaysDeny', 'Node', 'RBAC', 'Webhook'] as const;

/** --authorization-mode with --authorization-webhook-*: undefined where neither is given. */
async function authorizersOf(args: Args): Promise<readonly AuthorizerSpec[] | undefined> {
  const server = await fromFile(args, 'authorization-webhook-config-file', readWebhookConfig);
  const given = list(args.get('authorization-mode'));
  if (given === undefined && server === undefined) return undefined;
  const wanted = given ?? ['Node', 'RBAC', 'Webhook'];
  const allowedMs = duration(args, 'authorization-webhook-cache-authorized-ttl');
  const refusedMs = duration(args, 'authorization-webhook-cache-unauthorized-ttl');
  return wanted.map((text): AuthorizerSpec => {
    const mode = modes.find((m) => m === text);
    if (mode === undefined || wanted.indexOf(text) !== wanted.lastIndexOf(text))
      throw new OptionError(`kube-apiserver-arg: authorization-mode: "${text}" must be one of ${modes.join(', ')}, and only once`);
    if (mode !== 'Webhook') return { type: mode, name: mode.toLowerCase() };
    if (server === undefined)
      throw new OptionError('kube-apiserver-arg: authorization-mode: Webhook needs authorization-webhook-config-file');
    const times = { ...(allowedMs === undefined ? {} : { allowedMs }), ...(refusedMs === undefined ? {} : { refusedMs }) };
    return { type: mode, name: 'webhook', webhook: { server, ...times } };
  });
}

async function encryptionOf(args: Args): Promise<EncryptionFile | undefined> {
  const reload = boolean(args, 'encryption-provider-config-automatic-reload') ?? false;
  const file = await fromFile(args, 'encryption-provider-config', async (path) => {
    const text = await readFile(path, 'utf8');
    parseEncryptionConfig(text);
    return { path, text, reload };
  });
  if (file === undefined && reload)
    throw failed('encryption-provider-config-automatic-reload', 'must be set with encryption-provider-config');
  return file;
}

/** Settings of which a file takes the place. */
function checkExclusive(args: Args): void {
  const clash = (file: Name, others: readonly Name[]): void => {
    const other = others.find((o) => args.has(o));
    if (args.has(file) && other !== undefined) throw new OptionError(`kube-apiserver-arg: ${file} and ${other} are mutually exclusive`);
  };
  clash(
    'authentication-config',
    own.filter((a) => a.startsWith('oidc-')),
  );
  clash(
    'authorization-config',
    own.filter((a) => a === 'authorization-mode' || a.startsWith('authorization-webhook-')),
  );
}

/** `issuers`: this server's own, which no file may name. Reads the files that the settings name. Rejects with OptionError for what cannot be used. */
export async function securitySettings(args: Args, issuers: readonly string[] = []): Promise<SecuritySettings> {
  checkExclusive(args);
  const [issuer, config, tokenServer, access, authorizers, audit, encryption, accountKeys] = await Promise.all([
    oidcIssuer(args),
    fromFile(
      args,
      'authentication-config',
      followed((text) => parseAuthenticationConfig(text, issuers)),
    ),
    fromFile(args, 'authentication-token-webhook-config-file', readWebhookConfig),
    fromFile(args, 'authorization-config', followed(parseAuthorizationConfig)),
    authorizersOf(args),
    auditSettings(args),
    encryptionOf(args),
    accountKeysOf(args),
  ]);
  const anonymous = config?.value.anonymous;
  if (anonymous !== undefined && args.has('anonymous-auth'))
    throw new OptionError(
      'kube-apiserver-arg: anonymous-auth cannot be set when anonymous is configured in the file of authentication-config',
    );
  const cacheMs = duration(args, 'authentication-token-webhook-cache-ttl');
  const tokenWebhook = tokenServer === undefined ? undefined : { server: tokenServer, ...(cacheMs === undefined ? {} : { cacheMs }) };
  const oidc = [...(issuer === undefined ? [] : [issuer]), ...(config?.value.issuers ?? [])];
  const asked = access?.value ?? authorizers;
  return {
    auth: {
      ...(oidc.length === 0 ? {} : { oidc }),
      ...(tokenWebhook === undefined ? {} : { tokenWebhook }),
      ...(asked === undefined ? {} : { authorizers: asked }),
      ...(anonymous === undefined ? {} : { anonymousPaths: anonymous.paths }),
    },
    files: {
      ...(config === undefined ? {} : { authentication: config }),
      ...(access === undefined ? {} : { authorization: access }),
    },
    anonymous: anonymous?.enabled,
    audit,
    encryption,
    accountKeys,
  };
}
