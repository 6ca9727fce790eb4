/** The request part of an AdmissionReview: what webhooks get and what expressions know as `request`. */

import type { JsonObject } from '#kube/json-value.ts';
import { own } from '#kube/json-value.ts';
import type { KindDef } from '#kube/kind.ts';
import { splitApiVersion } from '#kube/refs.ts';
import type { AdmissionRequest } from '../contract.ts';
import { namespaceOf } from './attributes.ts';
import type { VersionedRequest } from './versions.ts';

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

const resourceOf = ({ ref }: KindDef): JsonObject => ({ group: ref.group, version: ref.version, resource: ref.plural });

/** Without the object and the old object, which callers add in the form they need. */
export function reviewRequest(r: VersionedRequest, uid: string): JsonObject {
  const { requested, subresource } = r;
  const namespace = namespaceOf(requested);
  const { name, uid: userId, groups, extra } = r.user;
  return {
    uid,
    kind: kindOf(r),
    resource: resourceOf(r.def),
    ...(subresource === '' ? {} : { subResource: subresource }),
    requestKind: kindOf(requested),
    requestResource: resourceOf(requested.def),
    ...(subresource === '' ? {} : { requestSubResource: subresource }),
    ...(r.name === '' ? {} : { name: r.name }),
    ...(namespace === '' ? {} : { namespace }),
    operation: r.operation,
    userInfo: {
      username: name,
      ...(userId === undefined || userId === '' ? {} : { uid: userId }),
      ...(groups.length === 0 ? {} : { groups: [...groups] }),
      ...(extra === undefined ? {} : { extra }),
    },
    dryRun: r.dryRun,
    options: r.operation === 'CONNECT' ? null : { ...r.options },
  };
}
