/**
 * Small plugins around storage and ingress: default classes, protection of what is in use, growth of claims
 * (k8s.io/kubernetes plugin/pkg/admission/storage and network/defaultingressclass).
 */
import type { PersistentVolumeClaim } from '#kube/generated/core-v1.ts';
import type { Ingress } from '#kube/generated/networking-v1.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { compareQuantity } from '#kube/quantity.ts';
import { ingressClasses, type ResourceRef, storageClasses } from '#kube/refs.ts';
import type { AdmissionPlugin, ObjectReader } from '../contract.ts';
import { denied, isResource, objectAs, oldObjectAs } from './attributes.ts';

/** The class that is marked as default; of several the newest, of those the first by name. */
function defaultClass<T extends KubeObject>(
  objects: Pick<ObjectReader, 'list'>,
  ref: ResourceRef<T>,
  annotations: readonly string[],
): Stored<T> | undefined {
  const marked = objects.list(ref, '').filter((c) => annotations.some((a) => c.metadata.annotations?.[a] === 'true'));
  const order = (a: Stored<T>, b: Stored<T>): number => {
    const byAge = Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp);
    return byAge !== 0 ? byAge : a.metadata.name < b.metadata.name ? -1 : 1;
  };
  return [...marked].sort(order)[0];
}

const storageAnnotations = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class'];

export function createDefaultStorageClass(objects: Pick<ObjectReader, 'list'>): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    handles: (r) => isResource(r, '', 'persistentvolumeclaims', 'CREATE'),
    admit: (r) => {
      if (r.object === undefined) return;
      const claim = objectAs<PersistentVolumeClaim>(r);
      if (claim.spec?.storageClassName !== undefined) return;
      if (claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] !== undefined) return;
      const found = defaultClass(objects, storageClasses, storageAnnotations);
      if (found !== undefined) r.object['spec'] = { ...claim.spec, storageClassName: found.metadata.name };
    },
  };
}

export function createDefaultIngressClass(objects: Pick<ObjectReader, 'list'>): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    handles: (r) => isResource(r, 'networking.k8s.io', 'ingresses', 'CREATE'),
    admit: (r) => {
      if (r.object === undefined) return;
      const ingress = objectAs<Ingress>(r);
      if (ingress.spec?.ingressClassName !== undefined) return;
      if (ingress.metadata.annotations?.['kubernetes.io/ingress.class'] !== undefined) return;
      const found = defaultClass(objects, ingressClasses, ['ingressclass.kubernetes.io/is-default-class']);
      if (found !== undefined) r.object['spec'] = { ...ingress.spec, ingressClassName: found.metadata.name };
    },
  };
}

const protection: Readonly<Record<string, string>> = {
  '/persistentvolumeclaims': 'kubernetes.io/pvc-protection',
  '/persistentvolumes': 'kubernetes.io/pv-protection',
  'storage.k8s.io/volumeattributesclasses': 'kubernetes.io/vac-protection',
};

export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  handles: (r) => r.operation === 'CREATE' && r.subresource === '' && Object.hasOwn(protection, `${r.def.ref.group}/${r.def.ref.plural}`),
  admit: (r) => {
    const finalizer = protection[`${r.def.ref.group}/${r.def.ref.plural}`];
    if (r.object === undefined || finalizer === undefined) return;
    const { finalizers = [] } = r.object.metadata;
    if (!finalizers.includes(finalizer)) r.object.metadata = { ...r.object.metadata, finalizers: [...finalizers, finalizer] };
  },
};

export function createPersistentVolumeClaimResize(objects: Pick<ObjectReader, 'get'>): AdmissionPlugin {
  return {
    name: 'PersistentVolumeClaimResize',
    handles: (r) => isResource(r, '', 'persistentvolumeclaims', 'UPDATE'),
    validate: (r) => {
      const next = objectAs<PersistentVolumeClaim>(r);
      const old = oldObjectAs<PersistentVolumeClaim>(r);
      const wanted = next.spec?.resources?.requests?.['storage'];
      const before = old.spec?.resources?.requests?.['storage'];
      if (wanted === undefined || before === undefined || compareQuantity(wanted, before) <= 0) return;
      if (old.status?.phase !== 'Bound') throw denied(r, 'Only bound persistent volume claims can be expanded');
      const className = next.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? next.spec?.storageClassName ?? '';
      if (className !== '' && objects.get(storageClasses, '', className)?.allowVolumeExpansion === true) return;
      throw denied(r, 'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize');
    },
  };
}
