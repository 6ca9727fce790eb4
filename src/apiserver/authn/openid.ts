/** The documents with which others verify service-account tokens: pkg/serviceaccount/openidmetadata.go. */
import type { ApiResponse, ExtraRoute } from '../contract.ts';
import { algorithmOf, type SigningKeys, type TokenOptions } from '../serviceaccount-tokens.ts';

const answer = (contentType: string, value: unknown): ApiResponse => ({
  type: 'bytes',
  status: 200,
  contentType,
  headers: { 'cache-control': 'public, max-age=3600' },
  body: JSON.stringify(value),
});

export function jsonWebKeySet(keys: SigningKeys): { readonly keys: readonly object[] } {
  return { keys: keys.verifying.map(({ kid, key }) => ({ use: 'sig', kid, alg: algorithmOf(key), ...key.export({ format: 'jwk' }) })) };
}

/** `jwksUri`: --service-account-jwks-uri, or where this server is reached. */
export function openIdRoutes(options: TokenOptions, jwksUri: () => string): readonly ExtraRoute[] {
  // Upstream answers both forms; the generated clients ask for the one with the slash.
  const route = (path: string, handle: () => ApiResponse): readonly ExtraRoute[] =>
    [path, `${path}/`].map((form) => ({
      methods: ['GET'],
      path: form,
      access: 'authorized',
      handle: async () => await Promise.resolve(handle()),
    }));
  return [
    ...route('/.well-known/openid-configuration', () =>
      answer('application/json', {
        issuer: options.issuers[0],
        jwks_uri: jwksUri(),
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: [...new Set(options.keys().verifying.map((v) => algorithmOf(v.key)))],
      }),
    ),
    ...route('/openid/v1/jwks', () => answer('application/jwk-set+json', jsonWebKeySet(options.keys()))),
  ];
}
