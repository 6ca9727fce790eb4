/** serviceaccounts/token: pkg/registry/core/serviceaccount/storage/token.go. */
import type { BoundObjectReference, TokenRequest } from '#kube/generated/authentication-v1.ts';
import type { Draft } from '#kube/kind.ts';
import { nodes, pods, secrets, serviceAccounts } from '#kube/refs.ts';
import { badRequest, conflict, type FieldError, invalid, notFound } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { ObjectReader, SubresourceDef, SubresourceRequest } from '../contract.ts';
import { type BoundTokenRequest, signBoundToken, type TokenOptions } from '../serviceaccount-tokens.ts';

const kind = { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' };
/** What kubelets ask for; such tokens live for a year and warn from here on, for clients that do not reload them. */
const extendableSeconds = 3607;
const extendedSeconds = 365 * 24 * 3600;

interface Spec {
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  readonly boundObjectRef: BoundObjectReference | undefined;
}

function specOf(body: unknown, name: string, defaults: readonly string[]): Spec {
  if (typeof body !== 'object' || body === null) throw badRequest('the body must be a TokenRequest');
  const request = body as Partial<TokenRequest>;
  if (request.kind !== undefined && request.kind !== 'TokenRequest')
    throw badRequest(`the body must be a TokenRequest, not a ${String(request.kind)}`);
  const given = request.metadata?.name;
  if (given !== undefined && given !== '' && given !== name)
    throw badRequest(`the name of the object (${String(given)}) does not match the name on the URL (${name})`);
  const { audiences, expirationSeconds, boundObjectRef } = request.spec ?? {};
  if (audiences !== undefined && (!Array.isArray(audiences) || audiences.some((a) => typeof a !== 'string')))
    throw badRequest('spec.audiences must be a list of strings');
  const seconds = expirationSeconds ?? 3600;
  const errors: FieldError[] = [];
  const wrong = (why: string) =>
    errors.push({
      field: 'spec.expirationSeconds',
      type: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(seconds)}: ${why}`,
    });
  if (!Number.isSafeInteger(seconds)) wrong('must be an integer');
  else if (seconds < 600) wrong('may not specify a duration less than 10 minutes');
  else if (seconds > 2 ** 32) wrong('may not specify a duration larger than 2^32 seconds');
  if (errors.length > 0) throw invalid(kind, '', errors);
  return {
    audiences: audiences === undefined || audiences.length === 0 ? defaults : audiences,
    expirationSeconds: seconds,
    boundObjectRef,
  };
}

type Binding = Pick<BoundTokenRequest, 'pod' | 'secret' | 'node'>;

function bindingOf(ref: BoundObjectReference | undefined, namespace: string, account: string, reader: Pick<ObjectReader, 'get'>): Binding {
  if (ref === undefined) return {};
  const name = ref.name ?? '';
  const checked = (plural: string, found: { readonly metadata: { readonly uid: string } } | undefined) => {
    if (found === undefined) throw notFound({ group: '', plural }, name);
    if (ref.uid !== undefined && ref.uid !== '' && ref.uid !== found.metadata.uid)
      throw conflict(
        { group: '', plural: ref.kind ?? '' },
        name,
        `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    return { name, uid: found.metadata.uid };
  };
  const what = `${ref.apiVersion ?? ''}/${ref.kind ?? ''}`;
  if (what === 'v1/Pod') {
    const pod = reader.get(pods, namespace, name);
    const bound = checked('pods', pod);
    if ((pod?.spec?.serviceAccountName ?? 'default') !== account)
      throw badRequest(
        `cannot bind token for serviceaccount ${JSON.stringify(account)} to pod running with different serviceaccount name.`,
      );
    const nodeName = pod?.spec?.nodeName ?? '';
    const node = nodeName === '' ? undefined : reader.get(nodes, '', nodeName);
    return { pod: bound, ...(node === undefined ? {} : { node: { name: nodeName, uid: node.metadata.uid } }) };
  }
  if (what === 'v1/Secret') return { secret: checked('secrets', reader.get(secrets, namespace, name)) };
  if (what === 'v1/Node') return { node: checked('nodes', reader.get(nodes, '', name)) };
  throw badRequest(`cannot bind token to object of type ${what.startsWith('/') ? what : `${what.replace('/', ', Kind=')}`}`);
}

async function handle(request: SubresourceRequest, options: TokenOptions, clock: Clock) {
  const account = request.store.get(serviceAccounts, request.namespace, request.name);
  if (account === undefined) throw notFound({ group: '', plural: 'serviceaccounts' }, request.name);
  const body = request.readBody();
  const spec = specOf(body, request.name, options.audiences);
  await request.admit('CREATE', body as Draft);
  const binding = bindingOf(spec.boundObjectRef, request.namespace, request.name, request.store);
  const forServer = spec.audiences.length === options.audiences.length && spec.audiences.every((a) => options.audiences.includes(a));
  const extended = spec.expirationSeconds === extendableSeconds && forServer && binding.pod !== undefined;
  const now = clock.now();
  const token = await signBoundToken(
    {
      namespace: request.namespace,
      serviceAccount: { name: request.name, uid: account.metadata.uid },
      ...binding,
      audiences: spec.audiences,
      expirationSeconds: extended ? extendedSeconds : spec.expirationSeconds,
      ...(extended ? { warnAfterSeconds: extendableSeconds } : {}),
    },
    options,
    now,
  );
  // Clients are told the short time, so that those who reload do so in time.
  const expirationTimestamp = `${new Date(now + spec.expirationSeconds * 1000).toISOString().slice(0, 19)}Z`;
  const { boundObjectRef, ...rest } = spec;
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name: request.name, namespace: request.namespace, creationTimestamp: `${new Date(now).toISOString().slice(0, 19)}Z` },
    spec: { ...rest, ...(boundObjectRef === undefined ? {} : { boundObjectRef }) },
    status: { token, expirationTimestamp },
  };
}

export function serviceAccountToken(options: TokenOptions, clock: Clock): SubresourceDef {
  return {
    resource: serviceAccounts,
    name: 'token',
    kind,
    verbs: ['create'],
    handle: async (request) => ({ type: 'object', status: 201, object: await handle(request, options, clock) }),
  };
}
