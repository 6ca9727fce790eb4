/** The --kube-apiserver-arg settings that name files about who may do what: identity providers, webhooks, audit, encryption. */
import { readFile } from 'node:fs/promises';
import type { AuditLogOptions } from '#apiserver/audit/log-file.ts';
import { type AuditPolicy, parseAuditPolicy } from '#apiserver/audit/policy.ts';
import type { AuthOptions } from '#apiserver/auth.ts';
import { issuerFromFlags, type OidcFlags, parseAuthenticationConfig } from '#apiserver/authn/oidc-config.ts';
import { readWebhookConfig } from '#apiserver/webhook-config.ts';
import type { EncryptionPolicy } from '#store/encryption.ts';
import { parseEncryptionConfig } from '#store/encryption-config.ts';
import { OptionError } from './options.ts';

export const securityArgs = [
  'audit-log-maxage',
  'audit-log-maxbackup',
  'audit-log-maxsize',
  'audit-log-path',
  'audit-policy-file',
  'authentication-config',
  'authentication-token-webhook-config-file',
  'authorization-webhook-config-file',
  'encryption-provider-config',
  'oidc-ca-file',
  'oidc-client-id',
  'oidc-groups-claim',
  'oidc-groups-prefix',
  'oidc-issuer-url',
  'oidc-required-claim',
  'oidc-signing-algs',
  'oidc-username-claim',
  'oidc-username-prefix',
] as const;

type Name = (typeof securityArgs)[number];
type Args = ReadonlyMap<string, string>;

export interface SecuritySettings {
  readonly auth: Pick<AuthOptions, 'oidc' | 'tokenWebhook' | 'authorizationWebhook' | 'anonymousPaths'>;
  /** False where an AuthenticationConfiguration says so. */
  readonly anonymous: boolean | undefined;
  readonly audit: { readonly policy: AuditPolicy; readonly log: AuditLogOptions } | undefined;
  readonly encryption: EncryptionPolicy | undefined;
}

/** What went wrong, with the name of the setting. */
const failed = (name: Name, error: unknown): OptionError =>
  new OptionError(`kube-apiserver-arg: ${name}: ${error instanceof Error ? error.message : String(error)}`);

async function fromFile<T>(args: Args, name: Name, read: (path: string) => Promise<T>): Promise<T | undefined> {
  const path = args.get(name);
  if (path === undefined || path === '') return undefined;
  try {
    return await read(path);
  } catch (error) {
    throw failed(name, error);
  }
}

const parsed =
  <T>(parse: (text: string) => T) =>
  async (path: string): Promise<T> =>
    parse(await readFile(path, 'utf8'));

function number(args: Args, name: Name): number | undefined {
  const text = args.get(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new OptionError(`kube-apiserver-arg: ${name}: "${text}" is not a number`);
  return Number(text);
}

const list = (text: string | undefined): readonly string[] | undefined => text?.split(',').filter((t) => t !== '');

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

async function auditOf(args: Args): Promise<SecuritySettings['audit']> {
  const policy = await fromFile(args, 'audit-policy-file', parsed(parseAuditPolicy));
  const path = args.get('audit-log-path');
  if (policy === undefined || path === undefined) {
    if ((policy === undefined) !== (path === undefined))
      throw new OptionError('kube-apiserver-arg: audit-policy-file and audit-log-path are needed together');
    return undefined;
  }
  const maxSizeMb = number(args, 'audit-log-maxsize');
  const maxBackups = number(args, 'audit-log-maxbackup');
  const maxAgeDays = number(args, 'audit-log-maxage');
  return {
    policy,
    log: {
      path,
      ...(maxSizeMb === undefined ? {} : { maxSizeMb }),
      ...(maxBackups === undefined ? {} : { maxBackups }),
      ...(maxAgeDays === undefined ? {} : { maxAgeDays }),
    },
  };
}

/** Reads the files that the settings name. Rejects with OptionError for what cannot be used. */
export async function securitySettings(args: Args): Promise<SecuritySettings> {
  const [issuer, config, tokenServer, accessServer, audit, encryption] = await Promise.all([
    oidcIssuer(args),
    fromFile(args, 'authentication-config', parsed(parseAuthenticationConfig)),
    fromFile(args, 'authentication-token-webhook-config-file', readWebhookConfig),
    fromFile(args, 'authorization-webhook-config-file', readWebhookConfig),
    auditOf(args),
    fromFile(args, 'encryption-provider-config', parsed(parseEncryptionConfig)),
  ]);
  if (issuer !== undefined && config !== undefined)
    throw new OptionError('kube-apiserver-arg: authentication-config and oidc-* flags are mutually exclusive');
  const oidc = [...(issuer === undefined ? [] : [issuer]), ...(config?.issuers ?? [])];
  return {
    auth: {
      ...(oidc.length === 0 ? {} : { oidc }),
      ...(tokenServer === undefined ? {} : { tokenWebhook: { server: tokenServer } }),
      ...(accessServer === undefined ? {} : { authorizationWebhook: { server: accessServer } }),
      ...(config?.anonymous === undefined ? {} : { anonymousPaths: config.anonymous.paths }),
    },
    anonymous: config?.anonymous?.enabled,
    audit,
    encryption,
  };
}
