/** The kubeconfig files that name webhooks, and with which credentials they are called. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';

/** What this server shows a webhook, so that it knows who calls. */
export interface WebhookCredentials {
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  readonly username?: string;
  readonly password?: string;
}

export interface WebhookServer extends WebhookCredentials {
  readonly url: string;
  readonly ca?: string;
}

/** Gives a file's text. Throws an Error for one that cannot be read. */
export type ReadFile = (path: string) => string;

type Fields = Readonly<Record<string, unknown>>;
const asFields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? { ...value } : {});
const listOf = (config: Fields, name: string): readonly Fields[] => {
  const list: unknown = config[name];
  return (Array.isArray(list) ? list : []).map(asFields);
};
const textOf = (fields: Fields, name: string): string | undefined => {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** What `name` says itself, in `name`-data, or what is in the file that it names, beside the kubeconfig. */
function data(from: Fields, name: string, path: string, readFile: ReadFile): string | undefined {
  const inline = textOf(from, `${name}-data`);
  if (inline !== undefined) return Buffer.from(inline, 'base64').toString('utf8');
  const file = textOf(from, name);
  return file === undefined ? undefined : readFile(resolve(dirname(path), file));
}

function credentialsOf(user: Fields, path: string, readFile: ReadFile): WebhookCredentials {
  if (user['exec'] !== undefined || user['auth-provider'] !== undefined) throw new Error(`${path}: auth provider not supported`);
  const cert = data(user, 'client-certificate', path, readFile);
  const key = data(user, 'client-key', path, readFile);
  const file = textOf(user, 'tokenFile');
  const token = textOf(user, 'token') ?? (file === undefined ? undefined : readFile(resolve(dirname(path), file)).trim());
  const username = textOf(user, 'username');
  const password = textOf(user, 'password');
  return {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(token === undefined ? {} : { token }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}

const configOf = (path: string, readFile: ReadFile): Fields => asFields(parse(readFile(path), { maxAliasCount: 100 }));

/** The server of a kubeconfig's current context. Files it names are read beside it. Throws an Error that says what is missing. */
export function parseWebhookServer(path: string, readFile: ReadFile): WebhookServer {
  const config = configOf(path, readFile);
  const entry = (plural: string, singular: string, name: unknown): Fields =>
    asFields(listOf(config, plural).find((e) => e['name'] === name)?.[singular]);
  const current = config['current-context'] ?? listOf(config, 'contexts')[0]?.['name'];
  const context = entry('contexts', 'context', current);
  const cluster = entry('clusters', 'cluster', context['cluster']);
  const url = cluster['server'];
  if (typeof url !== 'string' || !url.startsWith('https://')) throw new Error(`${path}: the current context names no https server`);
  const ca = data(cluster, 'certificate-authority', path, readFile);
  return { url, ...(ca === undefined ? {} : { ca }), ...credentialsOf(entry('users', 'user', context['user']), path, readFile) };
}

/** The server of a kubeconfig's current context. Rejects with an Error that says what is missing. */
export const readWebhookConfig = async (path: string): Promise<WebhookServer> =>
  await Promise.resolve(parseWebhookServer(path, (file) => readFileSync(file, 'utf8')));

/** Finds the credentials for the webhook at host:port; undefined where it is called without any. */
export type CredentialsFor = (hostPort: string) => WebhookCredentials | undefined;

/**
 * Credentials by the names of a kubeconfig's users, which are hosts: with their port, or without it where that is 443, whole or as
 * `*.` and what follows. k8s.io/apiserver pkg/util/webhook/authentication.go. Throws an Error that says what is wrong.
 */
export function parseWebhookUsers(path: string, readFile: ReadFile): CredentialsFor {
  const config = configOf(path, readFile);
  const users = new Map(listOf(config, 'users').map((u) => [u['name'], credentialsOf(asFields(u['user']), path, readFile)]));
  const find = (target: string): WebhookCredentials | undefined => {
    const steps = target.split('.');
    const names = [target, ...steps.slice(1).map((_step, i) => `*.${steps.slice(i + 1).join('.')}`)];
    return users.get(names.find((name) => users.has(name)));
  };
  return (hostPort) => find(hostPort) ?? (hostPort.endsWith(':443') ? find(hostPort.slice(0, -':443'.length)) : undefined);
}

/** The header that tells who calls, if any does. A token goes before a password. */
export function authorizationHeader({ token, username, password }: WebhookCredentials): Readonly<Record<string, string>> {
  if (token !== undefined) return { authorization: `Bearer ${token}` };
  if (username === undefined && password === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${username ?? ''}:${password ?? ''}`).toString('base64')}` };
}
