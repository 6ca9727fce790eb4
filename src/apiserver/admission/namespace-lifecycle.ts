/**
 * Keeps objects out of namespaces that do not exist or are being deleted, and the system's namespaces from being deleted
 * (k8s.io/apiserver pkg/admission/plugin/namespace/lifecycle).
 */
import { namespaces } from '#kube/refs.ts';
import { notFound, StatusError } from '#kube/status-error.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { denied } from './attributes.ts';

const immortal = new Set(['default', 'kube-system', 'kube-public']);

function terminating(r: AdmissionRequest): StatusError {
  const error = denied(r, `unable to create new content in namespace ${r.namespace} because it is being terminated`);
  const cause = { reason: 'NamespaceTerminating', message: `namespace ${r.namespace} is being terminated`, field: 'metadata.namespace' };
  return new StatusError('Forbidden', error.message, { details: { ...error.details, causes: [cause] } });
}

export function createNamespaceLifecycle(objects: Pick<ObjectReader, 'get'>): AdmissionPlugin {
  const check = (r: AdmissionRequest): void => {
    const { ref } = r.def;
    if (ref.group === '' && ref.plural === 'namespaces') {
      if (r.operation === 'DELETE' && immortal.has(r.name)) throw denied(r, 'this namespace may not be deleted');
      return;
    }
    if (r.namespace === '' || r.operation === 'DELETE') return;
    if (ref.group === 'authorization.k8s.io' && ref.plural === 'localsubjectaccessreviews') return;
    const namespace = objects.get(namespaces, '', r.namespace);
    if (namespace === undefined) throw notFound(namespaces, r.namespace);
    if (r.operation === 'CREATE' && namespace.status?.phase === 'Terminating') throw terminating(r);
  };
  return { name: 'NamespaceLifecycle', handles: (r) => r.operation !== 'CONNECT', admit: check };
}
