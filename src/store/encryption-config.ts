/** EncryptionConfiguration files (apiserver.config.k8s.io/v1), read and made. */
import { randomBytes } from 'node:crypto';
import { parse } from 'yaml';
import { parseGoDuration } from '#lib/go-duration.ts';
import type { EncryptionKey, EncryptionPolicy, EncryptionRule, LocalKey, LocalProvider } from './encryption.ts';
import type { KmsKey, KmsSpec } from './kms.ts';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: unknown, path: string): readonly unknown[] => {
  if (!Array.isArray(value) || value.length === 0) throw new Error(`${path}: must be a list that is not empty`);
  return value;
};
function fields(value: unknown, path: string): Fields {
  if (!isFields(value)) throw new Error(`${path}: must be an object`);
  return value;
}

const keySizes: Readonly<Record<LocalProvider, readonly number[]>> = {
  aescbc: [16, 24, 32],
  aesgcm: [16, 24, 32],
  secretbox: [32],
};
const isProvider = (kind: string): kind is LocalProvider => Object.hasOwn(keySizes, kind);

function keysOf(provider: LocalProvider, value: unknown, path: string): readonly LocalKey[] {
  return listOf(fields(value, path)['keys'], `${path}.keys`).map((entry, i) => {
    const at = `${path}.keys[${i}]`;
    const { name, secret } = fields(entry, at);
    if (typeof name !== 'string' || !/^[^:]+$/.test(name)) throw new Error(`${at}.name: must be text without colons`);
    const bytes = Buffer.from(typeof secret === 'string' ? secret : '', 'base64');
    const sizes = keySizes[provider];
    if (!sizes.includes(bytes.length))
      throw new Error(`${at}.secret: secret is not of the expected length, got ${bytes.length}, expected one of [${sizes.join(' ')}]`);
    return { provider, name, secret: bytes };
  });
}

/** Makes what encrypts by way of a key service. */
export type KmsOf = (spec: KmsSpec) => KmsKey;

const defaultKmsTimeoutMs = 3000;

/** apiserver/pkg/apis/apiserver/validation/validation_encryption.go, validateKMSConfiguration. */
function kmsSpecOf(value: unknown, path: string): KmsSpec {
  const { apiVersion = 'v1', name, endpoint, timeout = '' } = fields(value, path);
  if (apiVersion === 'v1')
    throw new Error(`${path}.apiVersion: KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead`);
  if (apiVersion !== 'v2') throw new Error(`${path}.apiVersion: unsupported apiVersion ${JSON.stringify(apiVersion)}, must be v2`);
  if (typeof name !== 'string' || name === '') throw new Error(`${path}.name: Required value: name is a required field`);
  if (name.includes(':')) throw new Error(`${path}.name: Invalid value: ${JSON.stringify(name)}: should not contain ':'`);
  if (typeof endpoint !== 'string' || endpoint === '') throw new Error(`${path}.endpoint: Required value: endpoint is a required field`);
  const scheme = /^([a-z0-9+.-]*):/i.exec(endpoint)?.[1] ?? '';
  if (scheme !== 'unix') throw new Error(`${path}.endpoint: unsupported scheme ${JSON.stringify(scheme)} for KMS provider`);
  const timeoutMs = timeout === '' ? defaultKmsTimeoutMs : typeof timeout === 'string' ? parseGoDuration(timeout) : undefined;
  if (timeoutMs === undefined || timeoutMs <= 0) throw new Error(`${path}.timeout: timeout should be a positive value`);
  return { name, socketPath: endpoint.slice('unix:'.length).replace(/^\/\/(?=\/)/, ''), timeoutMs };
}

/** Keys in the order of the file; undefined stands for identity. */
function providersOf(value: unknown, path: string, kmsOf: KmsOf): readonly (EncryptionKey | undefined)[] {
  return listOf(value, path).flatMap((entry, i): readonly (EncryptionKey | undefined)[] => {
    const at = `${path}[${i}]`;
    const [kind = '', ...others] = Object.keys(fields(entry, at));
    if (others.length > 0)
      throw new Error(`${at}: more than one provider specified in a single element, should split into different list elements`);
    if (kind === 'identity') return [undefined];
    if (kind === 'kms') return [kmsOf(kmsSpecOf(fields(entry, at)[kind], `${at}.kms`))];
    if (isProvider(kind)) return keysOf(kind, fields(entry, at)[kind], `${at}.${kind}`);
    throw new Error(
      `${at}: provider ${JSON.stringify(kind)} is not supported; there are ${Object.keys(keySizes).join(', ')}, kms and identity`,
    );
  });
}

/** "secrets", "configmaps", "widgets.example.com", "*.apps", "*.", "*.*" as key prefixes. */
function prefixOf(resource: string, path: string): string {
  const dot = resource.indexOf('.');
  const plural = dot < 0 ? resource : resource.slice(0, dot);
  const group = dot < 0 || dot === resource.length - 1 ? 'core' : resource.slice(dot + 1);
  if (!/^(\*|[a-z0-9]+)$/.test(plural) || !/^(\*|[a-z0-9.-]+)$/.test(group))
    throw new Error(`${path}: ${JSON.stringify(resource)} is no resource`);
  if (resource === '*')
    throw new Error(`${path}: use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources`);
  if (plural !== '*') return `/registry/${group}/${plural}/`;
  return group === '*' ? '/registry/' : `/registry/${group}/`;
}

/** A resource that an earlier entry covers already would never be encrypted as its own entry says. */
function checkOverlap(rules: readonly EncryptionRule[]): void {
  const seen: string[] = [];
  for (const [i, rule] of rules.entries())
    for (const prefix of rule.prefixes) {
      const masking = seen.find((s) => prefix.startsWith(s));
      if (masking !== undefined)
        throw new Error(
          `resources[${i}].resources: ${prefix} is covered already by ${masking}: write the narrower entry first, and only once`,
        );
      seen.push(prefix);
    }
}

/** For who only wants to know whether a configuration is good: its key services cannot be used. */
const unconnected: KmsOf = ({ name }) => {
  const fail = (): never => {
    throw new Error(`kms provider ${name} is not connected`);
  };
  return { provider: 'kms', name, seal: fail, open: fail };
};

/** Reads a configuration. Throws an Error that names the field that is wrong. */
export function parseEncryptionConfig(yaml: string, kmsOf: KmsOf = unconnected): EncryptionPolicy {
  const config = fields(parse(yaml), 'EncryptionConfiguration');
  if (config['kind'] !== 'EncryptionConfiguration' || config['apiVersion'] !== 'apiserver.config.k8s.io/v1')
    throw new Error('expected apiVersion apiserver.config.k8s.io/v1 and kind EncryptionConfiguration');
  const names = new Set<string>();
  const named: KmsOf = (spec) => {
    if (names.has(spec.name))
      throw new Error(`resources: Invalid value: ${JSON.stringify(spec.name)}: duplicate KMS provider name, names must be unique`);
    names.add(spec.name);
    return kmsOf(spec);
  };
  const rules = listOf(config['resources'], 'resources').map((entry, i): EncryptionRule => {
    const at = `resources[${i}]`;
    const { resources, providers } = fields(entry, at);
    const keys = providersOf(providers, `${at}.providers`, named);
    const prefixes = listOf(resources, `${at}.resources`).map((r) => prefixOf(String(r as string), `${at}.resources`));
    return { prefixes, write: keys[0], read: keys.filter((k) => k !== undefined) };
  });
  checkOverlap(rules);
  return rules;
}

/** A new key, named after the time. */
export const newEncryptionKey = (now: Date, provider: LocalProvider = 'aescbc'): LocalKey => ({
  provider,
  name: `${provider}key-${now.toISOString().slice(0, 19)}Z`.replaceAll(':', '-'),
  secret: randomBytes(32),
});

/** The file for keys of which the first encrypts; `enabled` false: nothing is encrypted any more, the keys only read. */
export function encryptionConfigText(keys: readonly LocalKey[], enabled: boolean): string {
  const own = keys.map((k) => ({ [k.provider]: { keys: [{ name: k.name, secret: Buffer.from(k.secret).toString('base64') }] } }));
  const providers = enabled ? [...own, { identity: {} }] : [{ identity: {} }, ...own];
  return `${JSON.stringify({ kind: 'EncryptionConfiguration', apiVersion: 'apiserver.config.k8s.io/v1', resources: [{ resources: ['secrets'], providers }] }, null, 2)}\n`;
}
