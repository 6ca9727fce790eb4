/** The request part of an AdmissionReview: what webhooks get and what expressions know as `request`. */
import type { JsonObject } from '#kube/json-value.ts';
import { own } from '#kube/json-value.ts';
import { splitApiVersion } from '#kube/refs.ts';
import type { AdmissionRequest } from '../contract.ts';

function kindOf(r: AdmissionRequest): JsonObject {
  const body = (r.object ?? r.oldObject) as JsonObject | undefined;
  const apiVersion = body === undefined ? undefined : own(body, 'apiVersion');
  const kind = body === undefined ? undefined : own(body, 'kind');
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
    const { group, version, kind: own } = r.def.ref;
    return { group, version, kind: own };
  }
  return { ...splitApiVersion(apiVersion), kind };
}

/** Without the object and the old object, which callers add in the form they need. */
export function reviewRequest(r: AdmissionRequest, uid: string): JsonObject {
  const { group, version, plural } = r.def.ref;
  const kind = kindOf(r);
  const resource = { group, version, resource: plural };
  const sub = r.subresource === '' ? {} : { subResource: r.subresource };
  const requestSub = r.subresource === '' ? {} : { requestSubResource: r.subresource };
  const { name, uid: userId, groups, extra } = r.user;
  return {
    uid,
    kind,
    resource,
    ...sub,
    requestKind: kind,
    requestResource: resource,
    ...requestSub,
    ...(r.name === '' ? {} : { name: r.name }),
    ...(r.namespace === '' ? {} : { namespace: r.namespace }),
    operation: r.operation,
    userInfo: {
      username: name,
      ...(userId === undefined || userId === '' ? {} : { uid: userId }),
      ...(groups.length === 0 ? {} : { groups: [...groups] }),
      ...(extra === undefined ? {} : { extra }),
    },
    dryRun: r.dryRun,
    options: { ...r.options },
  };
}
