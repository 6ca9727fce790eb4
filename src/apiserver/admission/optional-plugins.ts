/** Further plugins that are off by default (k8s.io/kubernetes plugin/pkg/admission). */
import type { Service } from '#kube/generated/core-v1.ts';
import { jsonEqual } from '#kube/json-value.ts';
import type { ObjectMeta } from '#kube/object.ts';
import { namespaces, splitApiVersion } from '#kube/refs.ts';
import { isStatus, notFound } from '#kube/status-error.ts';
import type { AdmissionPlugin, AdmissionRequest, Authorize, ObjectReader, ObjectStore } from '../contract.ts';
import { denied, isNamespace, isResource, objectAs, oldObjectAs } from './attributes.ts';

export const alwaysAdmit: AdmissionPlugin = { name: 'AlwaysAdmit', handles: () => false };

const refuse = (r: AdmissionRequest): never => {
  throw denied(r, 'admission control is denying all modifications');
};
export const alwaysDeny: AdmissionPlugin = { name: 'AlwaysDeny', handles: () => true, admit: refuse, validate: refuse };

const inNamespace = (r: AdmissionRequest): boolean => r.namespace !== '' && !isNamespace(r);

/** Makes the namespace of whatever is created. */
export function createNamespaceAutoProvision(objects: Pick<ObjectStore, 'get' | 'create'>): AdmissionPlugin {
  return {
    name: 'NamespaceAutoProvision',
    handles: (r) => r.operation === 'CREATE' && inNamespace(r) && !r.dryRun,
    admit: async (r) => {
      if (objects.get(namespaces, '', r.namespace) !== undefined) return;
      try {
        await objects.create(namespaces, {
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name: r.namespace, labels: { 'kubernetes.io/metadata.name': r.namespace } },
          spec: { finalizers: ['kubernetes'] },
          status: { phase: 'Active' },
        });
      } catch (error) {
        if (!isStatus(error, 'AlreadyExists')) throw error;
      }
    },
  };
}

export function createNamespaceExists(objects: Pick<ObjectReader, 'get'>): AdmissionPlugin {
  return {
    name: 'NamespaceExists',
    handles: (r) => r.operation !== 'CONNECT' && inNamespace(r) && r.def.ref.group !== 'authorization.k8s.io',
    validate: (r) => {
      if (objects.get(namespaces, '', r.namespace) === undefined) throw notFound(namespaces, r.namespace);
    },
  };
}

/** Services keep the external addresses that they have, but get no new ones (CVE-2020-8554). */
export const denyServiceExternalIps: AdmissionPlugin = {
  name: 'DenyServiceExternalIPs',
  handles: (r) => isResource(r, '', 'services', 'CREATE', 'UPDATE'),
  validate: (r) => {
    const old = r.oldObject === undefined ? [] : (oldObjectAs<Service>(r).spec?.externalIPs ?? []);
    if ((objectAs<Service>(r).spec?.externalIPs ?? []).every((ip) => old.includes(ip))) return;
    throw denied(r, 'Use of external IPs is denied by admission control');
  },
};

type Owner = NonNullable<ObjectMeta['ownerReferences']>[number];

interface OwnerDeps {
  readonly objects: Pick<ObjectReader, 'kindOf'>;
  readonly authorize: Authorize;
}

/** The right of the request's user to something, or why there is none. */
async function mayNot(
  deps: OwnerDeps,
  r: AdmissionRequest,
  what: {
    readonly verb: string;
    readonly group: string;
    readonly resource: string;
    readonly subresource: string;
    readonly name: string;
    readonly namespace: string;
  },
): Promise<string | undefined> {
  const attributes = { ...what, user: r.user, version: '*', resourceRequest: true, path: '' };
  const decision = await deps.authorize(attributes, r.signal);
  return decision.decision === 'allow' ? undefined : decision.reason;
}

async function checkOwners(deps: OwnerDeps, r: AdmissionRequest, owners: readonly Owner[], before: readonly Owner[]): Promise<void> {
  const { group, plural } = r.def.ref;
  if (r.operation === 'UPDATE') {
    const own = { verb: 'delete', group, resource: plural, subresource: r.subresource, name: r.name, namespace: r.namespace };
    const why = await mayNot(deps, r, own);
    if (why !== undefined) throw denied(r, `cannot set an ownerRef on a resource you can't delete: ${why}, <nil>`);
  }
  const blocking = owners.filter(
    (o) => o.blockOwnerDeletion === true && !before.some((b) => b.uid === o.uid && b.blockOwnerDeletion === true),
  );
  for (const owner of blocking) {
    const of = splitApiVersion(owner.apiVersion);
    const def = deps.objects.kindOf(of.group, of.version, owner.kind);
    if (def === undefined)
      throw denied(
        r,
        `cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion ${owner.apiVersion} Kind ${owner.kind}`,
      );
    const what = { verb: 'update', group: of.group, resource: def.ref.plural, subresource: 'finalizers', name: owner.name };
    const why = await mayNot(deps, r, { ...what, namespace: def.ref.namespaced ? r.namespace : '' });
    if (why !== undefined)
      throw denied(r, `cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: ${why}, <nil>`);
  }
}

/** Who names an owner must be allowed to delete the object; who holds the owner's deletion up, to set its finalizers (plugin gc). */
export function createOwnerReferencesPermissionEnforcement(deps: OwnerDeps): AdmissionPlugin {
  const ownersOf = (object: { readonly metadata: { readonly ownerReferences?: readonly Owner[] } } | undefined): readonly Owner[] =>
    object?.metadata.ownerReferences ?? [];
  return {
    name: 'OwnerReferencesPermissionEnforcement',
    handles: (r) => (r.operation === 'CREATE' || r.operation === 'UPDATE') && r.subresource !== 'status' && r.object !== undefined,
    validate: async (r) => {
      const owners = ownersOf(r.object);
      const before = ownersOf(r.oldObject);
      if (!jsonEqual(owners, before)) await checkOwners(deps, r, owners, before);
    },
  };
}
