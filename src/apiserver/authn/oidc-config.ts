/** An issuer from the --oidc-* flags. */
import { type OidcIssuer, oidcAlgorithms } from './oidc.ts';

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
