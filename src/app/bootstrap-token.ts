/** `k3ts token create|list|delete|generate`: bootstrap tokens, with which nodes join for a time, as K3s and kubeadm make them. */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseGoDuration } from '#lib/go-duration.ts';
import { caHash } from '#pki/tokens.ts';
import { askServer } from './ask-server.ts';
import { paths } from './config.ts';
import { flagsOf } from './flags.ts';
import { OptionError, type OptionSources, resolveOptions } from './options.ts';

export interface TokenSettings {
  readonly token?: string;
  readonly description?: string;
  readonly groups?: readonly string[];
  /** A Go duration; 0: the token never expires. */
  readonly ttl?: string;
  readonly usages?: readonly string[];
}

const secretsPath = '/api/v1/namespaces/kube-system/secrets';
const secretType = 'bootstrap.kubernetes.io/token';
const form = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const groupForm = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;
const knownUsages = ['signing', 'authentication'];
export const defaultTokenGroup = 'system:bootstrappers:k3ts:default-node-token';

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
const randomText = (length: number): string => Array.from({ length }, () => letters[randomInt(letters.length)] ?? '').join('');

/** A new token; nothing knows it yet. */
export const generateToken = (): string => `${randomText(6)}.${randomText(16)}`;

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** The Secret of a token. Throws OptionError for settings that make none. */
export function tokenSecret(settings: TokenSettings, now: number): { readonly token: string; readonly secret: object } {
  const { token = generateToken(), description = '', groups = [defaultTokenGroup], ttl = '24h', usages = knownUsages } = settings;
  const [, id = '', secretPart = ''] = form.exec(token) ?? [];
  if (id === '') throw new OptionError(`the bootstrap token "${token}" was not of the form "[a-z0-9]{6}.[a-z0-9]{16}"`);
  const badGroup = groups.find((g) => !groupForm.test(g));
  if (badGroup !== undefined) throw new OptionError(`bootstrap group "${badGroup}" is invalid (must match ${groupForm.source})`);
  const badUsage = usages.find((u) => !knownUsages.includes(u));
  if (badUsage !== undefined) throw new OptionError(`invalid usage "${badUsage}": must be one of ${knownUsages.join(', ')}`);
  const ms = parseGoDuration(ttl);
  if (ms === undefined || ms < 0) throw new OptionError(`ttl: "${ttl}" is not a duration such as 24h`);
  const data: Record<string, string> = {
    'token-id': id,
    'token-secret': secretPart,
    ...(description === '' ? {} : { description }),
    ...(ms === 0 ? {} : { expiration: `${new Date(now + ms).toISOString().slice(0, 19)}Z` }),
    ...(groups.length === 0 ? {} : { 'auth-extra-groups': groups.join(',') }),
    ...Object.fromEntries(usages.map((u) => [`usage-bootstrap-${u}`, 'true'])),
  };
  return {
    token,
    secret: {
      apiVersion: 'v1',
      kind: 'Secret',
      type: secretType,
      metadata: { name: `bootstrap-token-${id}`, namespace: 'kube-system' },
      data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, base64(v)])),
    },
  };
}

/** Makes a token known to the server and prints its full form. */
export async function createToken(settings: TokenSettings, sources: OptionSources): Promise<void> {
  const { token, secret } = tokenSecret(settings, Date.now());
  await askServer(sources, 'POST', secretsPath, secret);
  const dataDir = String(resolveOptions(flagsOf('server'), sources).get('data-dir'));
  const ca = readFileSync(join(paths(dataDir).server, 'tls/server-ca.crt'), 'utf8');
  process.stdout.write(`K10${caHash(ca)}::${token}\n`);
}

interface StoredToken {
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
}

export interface TokenRow {
  readonly token: string;
  readonly ttl: string;
  readonly expires: string;
  readonly usages: string;
  readonly description: string;
  readonly groups: string;
}

function remaining(ms: number): string {
  if (ms <= 0) return '<invalid>';
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60 ? `${minutes}m` : minutes < 48 * 60 ? `${Math.floor(minutes / 60)}h` : `${Math.floor(minutes / 1440)}d`;
}

export function tokenRow(secret: StoredToken, now: number): TokenRow {
  const field = (name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8');
  const expires = field('expiration');
  return {
    token: `${field('token-id')}.${field('token-secret')}`,
    ttl: expires === '' ? '<forever>' : remaining(Date.parse(expires) - now),
    expires: expires === '' ? '<never>' : expires,
    usages: knownUsages.filter((u) => field(`usage-bootstrap-${u}`) === 'true').join(','),
    description: field('description') || '<none>',
    groups: field('auth-extra-groups') || '<none>',
  };
}

const columns = ['token', 'ttl', 'expires', 'usages', 'description', 'groups'] as const;
const heads: Readonly<Record<(typeof columns)[number], string>> = {
  token: 'TOKEN',
  ttl: 'TTL',
  expires: 'EXPIRES',
  usages: 'USAGES',
  description: 'DESCRIPTION',
  groups: 'EXTRA GROUPS',
};

/** Prints the tokens that there are. */
export async function listTokens(output: 'text' | 'json', sources: OptionSources): Promise<void> {
  const query = new URLSearchParams({ fieldSelector: `type=${secretType}` });
  const { items } = (await askServer(sources, 'GET', `${secretsPath}?${query.toString()}`)) as { readonly items: readonly StoredToken[] };
  const rows = items.map((secret) => tokenRow(secret, Date.now()));
  if (output === 'json') {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const widths = columns.map((c) => Math.max(heads[c].length, ...rows.map((r) => r[c].length)));
  for (const row of [heads, ...rows])
    process.stdout.write(
      `${columns
        .map((c, i) => row[c].padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    );
}

/** Forgets tokens, by id or whole. */
export async function deleteTokens(tokens: readonly string[], sources: OptionSources): Promise<void> {
  for (const token of tokens) {
    const id = form.exec(token)?.[1] ?? token;
    if (!/^[a-z0-9]{6}$/.test(id)) throw new OptionError(`given token "${token}" does not match the form of a token or of a token id`);
    await askServer(sources, 'DELETE', `${secretsPath}/bootstrap-token-${id}`);
    process.stdout.write(`bootstrap token "${id}" deleted\n`);
  }
}
