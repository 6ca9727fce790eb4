/** Which subresources a kind has: status and scale by its KindDef, those written here by name, and those given to the server as data. */

import type { Draft, KindDef } from '#kube/kind.ts';
import { notFound, StatusError } from '#kube/status-error.ts';
import { readValue } from '../codec.ts';
import type { ApiResponse, SubresourceDef } from '../contract.ts';
import type { VerbRequest } from '../core.ts';
import { readEntry } from '../storage.ts';
import { get } from '../verbs/get.ts';
import { patch } from '../verbs/patch.ts';
import { update } from '../verbs/update.ts';
import { admissionRequest, type UpdatePart } from '../verbs/write.ts';
import { bindingSubresource } from './binding.ts';
import { approvalPart } from './csr-approval.ts';
import { evictionSubresource } from './eviction.ts';
import { finalizePart } from './namespace-finalize.ts';
import { ephemeralContainersPart, resizePart } from './pod-parts.ts';
import { scaleSubresource } from './scale.ts';
import { statusPart } from './status.ts';
import type { Subresource } from './subresource.ts';

/** A subresource that is a part of its object, written by itself. */
function partSubresource(def: KindDef, name: string, part: UpdatePart, verbs = ['get', 'patch', 'update']): Subresource {
  const { group, version, kind } = def.ref;
  const validate = part.validate ?? def.validateParts?.[name];
  const whole = validate === undefined ? part : { ...part, validate };
  return {
    name,
    kind: { group, version, kind },
    verbs,
    handle: async (r) => {
      if (r.info.verb === 'get') return await get(r);
      return r.info.verb === 'patch' ? await patch(r, whole) : await update(r, whole);
    },
  };
}

/** The subresources that are written for one kind, by group and plural. */
const own: Readonly<Record<string, (def: KindDef) => readonly Subresource[]>> = {
  '/pods': (def) => [
    partSubresource(def, 'ephemeralcontainers', ephemeralContainersPart),
    partSubresource(def, 'resize', resizePart),
    bindingSubresource,
    evictionSubresource,
  ],
  '/namespaces': (def) => [partSubresource(def, 'finalize', finalizePart, ['update'])],
  'certificates.k8s.io/certificatesigningrequests': (def) => [partSubresource(def, 'approval', approvalPart)],
};

export function subresourcesFor(def: KindDef, given: readonly SubresourceDef[]): ReadonlyMap<string, Subresource> {
  const { group, plural, version } = def.ref;
  const list: Subresource[] = [...(own[`${group}/${plural}`]?.(def) ?? [])];
  if (def.hasStatus === true) list.push(partSubresource(def, 'status', statusPart(def)));
  if (def.scale !== undefined) list.push(scaleSubresource(def.scale));
  for (const s of given)
    if (s.resource.group === group && s.resource.plural === plural && s.resource.version === version) list.push(adapt(s));
  return new Map(list.map((s) => [s.name, s]));
}

/** Throws StatusError NotFound or MethodNotAllowed. */
export async function handleSubresource(r: VerbRequest): Promise<ApiResponse> {
  const found = r.resource.subresources.get(r.info.subresource);
  if (found === undefined || r.info.name === '')
    throw new StatusError('NotFound', 'the server could not find the requested resource', { details: {} });
  if (!found.verbs.includes(r.info.verb))
    throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource', { details: {} });
  return await found.handle(r);
}

function adapt(s: SubresourceDef): Subresource {
  return {
    name: s.name,
    kind: s.kind,
    verbs: s.verbs,
    handle: async (r) => {
      const { def } = r.resource;
      const { namespace, name } = r.info;
      const entry = readEntry(r.core, def, def.ref.namespaced ? namespace : '', name);
      if (entry === undefined && !isNodeProxy(s)) throw notFound(def.ref, name);
      return await s.handle({
        request: r.request,
        def,
        namespace,
        name,
        rest: r.info.rest,
        store: r.core.objects,
        readBody: () => readValue(r.request),
        admit: async (operation, object, options = {}) => {
          // What is seen of a connection is how it is to be made.
          const body = operation === 'CONNECT' ? (options as unknown as Draft) : object;
          const admission = admissionRequest(r, operation, { namespace, name, dryRun: false }, body, undefined, options);
          await r.core.admission.admit(admission);
          await r.core.admission.validate(admission);
        },
      });
    },
  };
}

/** The names that proxies take may carry a scheme and a port: the handler looks the object up itself. */
const isNodeProxy = (s: SubresourceDef): boolean => s.name === 'proxy';
