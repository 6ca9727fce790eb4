/** Service-account tokens: made, and their claims checked against the objects they are bound to. pkg/serviceaccount of Kubernetes. */
import { createPublicKey, type KeyObject, randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import type { Secret } from '#kube/generated/core-v1.ts';
import { nodes, pods, secrets, serviceAccounts } from '#kube/refs.ts';
import type { Clock } from '#platform/clock.ts';
import { checkLegacySecret } from './authn/legacy-tokens.ts';
import { serviceAccountGroups, serviceAccountUser, type TokenAuthenticator, type TokenIdentity } from './authn/types.ts';
import type { ObjectReader, UserInfo } from './contract.ts';

export const legacyIssuer = 'kubernetes/serviceaccount';
/** Deleted accounts and pods keep their tokens for so long, so that what they do while going still works. */
const deletionGraceMs = 60_000;

interface NamedRef {
  readonly name: string;
  readonly uid: string;
}

/** The private claims of a bound token. */
interface KubernetesClaims {
  readonly namespace: string;
  readonly serviceaccount: NamedRef;
  readonly pod?: NamedRef;
  readonly secret?: NamedRef;
  readonly node?: NamedRef;
  readonly warnafter?: number;
}

export interface SigningKeys {
  readonly signing: KeyObject;
  /** Public keys whose tokens are good, with their key ids. */
  readonly verifying: readonly { readonly kid: string; readonly key: KeyObject }[];
}

export interface TokenOptions {
  /** --service-account-issuer: the first signs, all are accepted. */
  readonly issuers: readonly string[];
  /** --api-audiences. */
  readonly audiences: readonly string[];
  /** Read at each use: keys may be rotated while running. */
  readonly keys: () => SigningKeys;
  /** Told of each use of a token that comes from a Secret. */
  readonly legacyUsed?: (secret: Secret) => void;
}

export interface BoundTokenRequest {
  readonly namespace: string;
  readonly serviceAccount: NamedRef;
  readonly pod?: NamedRef;
  readonly secret?: NamedRef;
  readonly node?: NamedRef;
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  /** When clients are warned that they use an old token (extended tokens of kubelets). */
  readonly warnAfterSeconds?: number;
}

export const algorithmOf = (key: KeyObject): string => {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return curve === 'secp384r1' ? 'ES384' : curve === 'secp521r1' ? 'ES512' : 'ES256';
};

const publicOf = (key: KeyObject): KeyObject => (key.type === 'public' ? key : createPublicKey(key));

/** Signs a bound token. `iat` is now; the key id is that of the signing key among `verifying`. */
export async function signBoundToken(request: BoundTokenRequest, options: TokenOptions, nowMs: number): Promise<string> {
  const { signing, verifying } = options.keys();
  const kid = verifying.find((v) => v.key.equals(publicOf(signing)))?.kid;
  const now = Math.floor(nowMs / 1000);
  const claims: KubernetesClaims = {
    namespace: request.namespace,
    ...(request.node === undefined ? {} : { node: request.node }),
    ...(request.pod === undefined ? {} : { pod: request.pod }),
    ...(request.secret === undefined ? {} : { secret: request.secret }),
    serviceaccount: request.serviceAccount,
    ...(request.warnAfterSeconds === undefined ? {} : { warnafter: now + request.warnAfterSeconds }),
  };
  return await new SignJWT({ 'kubernetes.io': claims })
    .setProtectedHeader({ alg: algorithmOf(signing), ...(kid === undefined ? {} : { kid }) })
    .setAudience([...request.audiences])
    .setExpirationTime(now + request.expirationSeconds)
    .setIssuedAt(now)
    .setIssuer(options.issuers[0] ?? '')
    .setJti(randomUUID())
    .setNotBefore(now)
    .setSubject(serviceAccountUser(request.namespace, request.serviceAccount.name))
    .sign(signing);
}

/** The token of a Secret of type kubernetes.io/service-account-token: it does not expire. */
export async function signLegacyToken(
  request: { readonly namespace: string; readonly serviceAccount: NamedRef; readonly secretName: string },
  options: TokenOptions,
): Promise<string> {
  const { signing, verifying } = options.keys();
  const kid = verifying.find((v) => v.key.equals(publicOf(signing)))?.kid;
  return await new SignJWT({
    'kubernetes.io/serviceaccount/namespace': request.namespace,
    'kubernetes.io/serviceaccount/secret.name': request.secretName,
    'kubernetes.io/serviceaccount/service-account.name': request.serviceAccount.name,
    'kubernetes.io/serviceaccount/service-account.uid': request.serviceAccount.uid,
  })
    .setProtectedHeader({ alg: algorithmOf(signing), ...(kid === undefined ? {} : { kid }) })
    .setIssuer(legacyIssuer)
    .setSubject(serviceAccountUser(request.namespace, request.serviceAccount.name))
    .sign(signing);
}

const isRef = (value: unknown): value is NamedRef =>
  typeof value === 'object' &&
  value !== null &&
  'name' in value &&
  typeof value.name === 'string' &&
  'uid' in value &&
  typeof value.uid === 'string';

function boundClaims(payload: JWTPayload): KubernetesClaims {
  const claims = payload['kubernetes.io'];
  if (typeof claims !== 'object' || claims === null || !('namespace' in claims) || typeof claims.namespace !== 'string')
    throw new Error('service account token has no kubernetes.io claims');
  if (!('serviceaccount' in claims) || !isRef(claims.serviceaccount)) throw new Error('service account token names no service account');
  const optional = (key: 'pod' | 'secret' | 'node'): Partial<Record<typeof key, NamedRef>> => {
    const value: unknown = Reflect.get(claims, key);
    return isRef(value) ? { [key]: value } : {};
  };
  return {
    namespace: claims.namespace,
    serviceaccount: claims.serviceaccount,
    ...optional('pod'),
    ...optional('secret'),
    ...optional('node'),
  };
}

interface Existing {
  readonly metadata: { readonly uid: string; readonly deletionTimestamp?: string | undefined };
}

/** Throws unless the object is there, is the one meant, and has not been going for longer than the grace. */
function mustExist(what: string, object: Existing | undefined, uid: string | undefined, now: number): void {
  if (object === undefined) throw new Error(`service account token has been invalidated: ${what} does not exist`);
  const { deletionTimestamp } = object.metadata;
  if (deletionTimestamp !== undefined && Date.parse(deletionTimestamp) < now - deletionGraceMs)
    throw new Error(`service account token has been invalidated: ${what} has been deleted`);
  if (uid !== undefined && object.metadata.uid !== uid)
    throw new Error(`${what} UID (${object.metadata.uid}) does not match claim (${uid})`);
}

type Reader = Pick<ObjectReader, 'get'>;

function boundUser(payload: JWTPayload, reader: Reader, now: number): UserInfo {
  const claims = boundClaims(payload);
  const { namespace, serviceaccount, pod, secret, node } = claims;
  if (payload.sub !== serviceAccountUser(namespace, serviceaccount.name))
    throw new Error('service account token: subject does not match claims');
  mustExist('service account', reader.get(serviceAccounts, namespace, serviceaccount.name), serviceaccount.uid, now);
  if (secret !== undefined) mustExist('secret', reader.get(secrets, namespace, secret.name), secret.uid, now);
  if (pod !== undefined) mustExist('pod', reader.get(pods, namespace, pod.name), pod.uid, now);
  if (node !== undefined && pod === undefined) mustExist('node', reader.get(nodes, '', node.name), node.uid, now);
  const extra: Record<string, readonly string[]> = {};
  if (typeof payload.jti === 'string') extra['authentication.kubernetes.io/credential-id'] = [`JTI=${payload.jti}`];
  if (node !== undefined) {
    extra['authentication.kubernetes.io/node-name'] = [node.name];
    extra['authentication.kubernetes.io/node-uid'] = [node.uid];
  }
  if (pod !== undefined) {
    extra['authentication.kubernetes.io/pod-name'] = [pod.name];
    extra['authentication.kubernetes.io/pod-uid'] = [pod.uid];
  }
  return { name: payload.sub, uid: serviceaccount.uid, groups: serviceAccountGroups(namespace), extra };
}

function legacyUser(token: string, payload: JWTPayload, reader: Reader, now: number, options: TokenOptions): UserInfo {
  const claim = (name: string): string => {
    const value = payload[`kubernetes.io/serviceaccount/${name}`];
    if (typeof value !== 'string' || value === '') throw new Error(`service account token has no claim ${name}`);
    return value;
  };
  const namespace = claim('namespace');
  const name = claim('service-account.name');
  const uid = claim('service-account.uid');
  const secretName = claim('secret.name');
  if (payload.sub !== serviceAccountUser(namespace, name)) throw new Error('service account token: subject does not match claims');
  const secret = reader.get(secrets, namespace, secretName);
  if (secret === undefined || secret.metadata.deletionTimestamp !== undefined)
    throw new Error('service account token has been invalidated: its secret is gone');
  if (Buffer.from(secret.data?.['token'] ?? '', 'base64').toString('utf8') !== token)
    throw new Error('service account token has been invalidated: its secret holds another token');
  mustExist('service account', reader.get(serviceAccounts, namespace, name), uid, now);
  // Also that of one which is no longer good: somebody misses it.
  options.legacyUsed?.(secret);
  checkLegacySecret(secret, name);
  return { name: payload.sub, uid, groups: serviceAccountGroups(namespace) };
}

/** How many tokens' signatures are remembered; the objects they are bound to are looked at for each request. */
const rememberedTokens = 4096;

/** Whether a token is one of ours to judge: a JWT of one of our issuers. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

async function verifySignature(token: string, options: TokenOptions, now: number): Promise<JWTPayload> {
  const { kid } = decodeProtectedHeader(token);
  const keys = options.keys().verifying;
  const candidates = kid === undefined ? keys : keys.filter((k) => k.kid === kid);
  let failure: unknown = new Error('service account token is signed with an unknown key');
  for (const { key } of candidates) {
    try {
      const { payload } = await jwtVerify(token, key, { algorithms: [algorithmOf(key)], currentDate: new Date(now) });
      return payload;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** Tokens of service accounts, bound and legacy: valid, unexpired, and bound to objects that still exist. */
export function serviceAccountTokens(options: TokenOptions, reader: Reader, clock: Clock): TokenAuthenticator {
  const remembered = new Map<string, JWTPayload>();
  const remember = (token: string, payload: JWTPayload): void => {
    if (remembered.size >= rememberedTokens) {
      const oldest = remembered.keys().next();
      if (oldest.done !== true) remembered.delete(oldest.value);
    }
    remembered.set(token, payload);
  };
  let keys = options.keys();
  const verified = async (token: string, now: number): Promise<JWTPayload> => {
    // A key that was taken away opens nothing any more.
    if (options.keys() !== keys) {
      keys = options.keys();
      remembered.clear();
    }
    const known = remembered.get(token);
    if (known !== undefined && (known.exp === undefined || known.exp * 1000 > now)) return known;
    remembered.delete(token);
    const payload = await verifySignature(token, options, now);
    remember(token, payload);
    return payload;
  };
  return async (token, wanted): Promise<TokenIdentity | undefined> => {
    const issuer = issuerOf(token);
    if (issuer === undefined || (issuer !== legacyIssuer && !options.issuers.includes(issuer))) return undefined;
    const now = clock.now();
    const payload = await verified(token, now);
    const legacy = issuer === legacyIssuer;
    // Legacy tokens name no audience and count as meant for the API server.
    const meantFor = legacy ? options.audiences : [payload.aud ?? []].flat();
    const audiences = wanted.filter((a) => meantFor.includes(a));
    if (audiences.length === 0)
      throw new Error(`token audiences ${JSON.stringify(meantFor)} is invalid for the target audiences ${JSON.stringify(wanted)}`);
    return { user: legacy ? legacyUser(token, payload, reader, now, options) : boundUser(payload, reader, now), audiences };
  };
}
