/** Issuers from the --oidc-* flags or from an AuthenticationConfiguration file (apiserver.config.k8s.io). */
import { parse } from 'yaml';
import { type ClaimMapping, type OidcIssuer, oidcAlgorithms } from './oidc.ts';

/** kube-apiserver's flags, without their dashes. */
export interface OidcFlags {
  readonly 'oidc-issuer-url'?: string;
  readonly 'oidc-client-id'?: string;
  readonly 'oidc-username-claim'?: string;
  readonly 'oidc-username-prefix'?: string;
  readonly 'oidc-groups-claim'?: string;
  readonly 'oidc-groups-prefix'?: string;
  /** key=value, repeated. */
  readonly 'oidc-required-claim'?: readonly string[];
  readonly 'oidc-signing-algs'?: readonly string[];
  /** Contents of --oidc-ca-file. */
  readonly ca?: string;
}

/** Undefined when no issuer is named. Throws an Error for flags that do not go together. */
export function issuerFromFlags(flags: OidcFlags): OidcIssuer | undefined {
  const url = flags['oidc-issuer-url'];
  if (url === undefined || url === '') return undefined;
  const clientId = flags['oidc-client-id'];
  if (clientId === undefined || clientId === '') throw new Error('oidc-issuer-url and oidc-client-id must be specified together');
  if (!url.startsWith('https://')) throw new Error('oidc-issuer-url must use https scheme');
  const claim = flags['oidc-username-claim'] ?? 'sub';
  const given = flags['oidc-username-prefix'];
  // Without a prefix two issuers could name the same user: only an e-mail address is unique as it is.
  const prefix = given === '-' ? '' : (given ?? (claim === 'email' ? '' : `${url}#`));
  const required = (flags['oidc-required-claim'] ?? []).map((pair): [string, string] => {
    const at = pair.indexOf('=');
    if (at < 1) throw new Error(`oidc-required-claim must be key=value, not ${JSON.stringify(pair)}`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  const algorithms = flags['oidc-signing-algs'] ?? ['RS256'];
  const unknown = algorithms.find((a) => !oidcAlgorithms.includes(a));
  if (unknown !== undefined) throw new Error(`oidc-signing-algs: unsupported algorithm ${JSON.stringify(unknown)}`);
  const groups = flags['oidc-groups-claim'];
  return {
    url,
    audiences: [clientId],
    username: { claim, prefix },
    ...(groups === undefined ? {} : { groups: { claim: groups, prefix: flags['oidc-groups-prefix'] ?? '' } }),
    requiredClaims: Object.fromEntries(required),
    signingAlgorithms: algorithms,
    ...(flags.ca === undefined ? {} : { certificateAuthority: flags.ca }),
  };
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

function fields(value: unknown, path: string): Fields {
  if (!isFields(value)) throw new Error(`${path}: must be an object`);
  return value;
}

function text(value: unknown, path: string): string {
  if (typeof value !== 'string' || value === '') throw new Error(`${path}: must be text`);
  return value;
}

/** A claim given by name, or by the expression claims.<name>; other expressions are refused. */
function claimOf(value: Fields, path: string): string {
  if (value['claim'] !== undefined) return text(value['claim'], `${path}.claim`);
  const expression = text(value['expression'], `${path}.expression`);
  const simple = /^claims\.([A-Za-z_][A-Za-z0-9_]*)$/.exec(expression)?.[1] ?? /^claims\[["']([^"'\\]+)["']\]$/.exec(expression)?.[1];
  if (simple === undefined) throw new Error(`${path}.expression: only claims.<name> is supported, not ${JSON.stringify(expression)}`);
  return simple;
}

function mapping(value: unknown, path: string): ClaimMapping {
  const given = fields(value, path);
  if (given['claim'] !== undefined && typeof given['prefix'] !== 'string')
    throw new Error(`${path}.prefix: required when claim is set; it may be ""`);
  return { claim: claimOf(given, path), prefix: typeof given['prefix'] === 'string' ? given['prefix'] : '' };
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function jwtIssuer(value: unknown, path: string): OidcIssuer {
  const jwt = fields(value, path);
  const issuer = fields(jwt['issuer'], `${path}.issuer`);
  const mappings = fields(jwt['claimMappings'], `${path}.claimMappings`);
  const url = text(issuer['url'], `${path}.issuer.url`);
  if (!url.startsWith('https://')) throw new Error(`${path}.issuer.url: URL scheme must be https`);
  const audiences = list(issuer['audiences']).map((a, i) => text(a, `${path}.issuer.audiences[${i}]`));
  if (audiences.length === 0) throw new Error(`${path}.issuer.audiences: at least one is required`);
  const rules = list(jwt['claimValidationRules']).map((rule, i): [string, string] => {
    const at = `${path}.claimValidationRules[${i}]`;
    const given = fields(rule, at);
    if (given['expression'] !== undefined) throw new Error(`${at}.expression: only claim and requiredValue are supported`);
    return [text(given['claim'], `${at}.claim`), typeof given['requiredValue'] === 'string' ? given['requiredValue'] : ''];
  });
  if (list(jwt['userValidationRules']).length > 0) throw new Error(`${path}.userValidationRules: not supported`);
  const extra = list(mappings['extra']).map((entry, i) => {
    const at = `${path}.claimMappings.extra[${i}]`;
    const given = fields(entry, at);
    return { key: text(given['key'], `${at}.key`), claim: claimOf({ expression: given['valueExpression'] }, at) };
  });
  const uid = mappings['uid'];
  return {
    url,
    audiences,
    username: mapping(mappings['username'], `${path}.claimMappings.username`),
    ...(mappings['groups'] === undefined ? {} : { groups: mapping(mappings['groups'], `${path}.claimMappings.groups`) }),
    ...(uid === undefined ? {} : { uidClaim: claimOf(fields(uid, `${path}.claimMappings.uid`), `${path}.claimMappings.uid`) }),
    ...(extra.length === 0 ? {} : { extra }),
    requiredClaims: Object.fromEntries(rules),
    signingAlgorithms: oidcAlgorithms,
    ...(typeof issuer['discoveryURL'] === 'string' ? { discoveryUrl: issuer['discoveryURL'] } : {}),
    ...(typeof issuer['certificateAuthority'] === 'string' ? { certificateAuthority: issuer['certificateAuthority'] } : {}),
  };
}

export interface AuthenticationConfiguration {
  readonly issuers: readonly OidcIssuer[];
  /** Absent: as the flag says. Otherwise anonymous requests are let through, to these paths only where some are named. */
  readonly anonymous?: { readonly enabled: boolean; readonly paths: readonly string[] };
}

/** Reads the file of --authentication-config. Throws an Error that names the field that is wrong. */
export function parseAuthenticationConfig(yaml: string): AuthenticationConfiguration {
  const config = fields(parse(yaml), 'AuthenticationConfiguration');
  if (config['kind'] !== 'AuthenticationConfiguration' || !String(config['apiVersion']).startsWith('apiserver.config.k8s.io/'))
    throw new Error('expected apiVersion apiserver.config.k8s.io/v1 and kind AuthenticationConfiguration');
  const issuers = list(config['jwt']).map((jwt, i) => jwtIssuer(jwt, `jwt[${i}]`));
  const urls = issuers.map((i) => i.url);
  const twice = urls.find((u, i) => urls.indexOf(u) < i);
  if (twice !== undefined) throw new Error(`jwt: duplicate issuer ${JSON.stringify(twice)}`);
  if (config['anonymous'] === undefined) return { issuers };
  const anonymous = fields(config['anonymous'], 'anonymous');
  const paths = list(anonymous['conditions']).map((c, i) =>
    text(fields(c, `anonymous.conditions[${i}]`)['path'], `anonymous.conditions[${i}].path`),
  );
  return { issuers, anonymous: { enabled: anonymous['enabled'] === true, paths } };
}
