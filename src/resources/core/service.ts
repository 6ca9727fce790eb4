import type { Service } from '#kube/generated/core-v1.ts';
import { services } from '#kube/refs.ts';
import { defineKind, type Mutable } from '../define.ts';
import { ageColumn, ageOf, column, formatLabels, nameColumn, orNone, selectorColumn } from '../print.ts';
import { validateService, validateServiceStatusUpdate, validateServiceUpdate } from './service-validation.ts';
import { serviceWarnings } from './service-warnings.ts';

const externallyReachable = (service: Mutable<Service>): boolean => {
  const { spec } = service;
  if (spec?.type === 'NodePort' || spec?.type === 'LoadBalancer') return true;
  return spec?.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0;
};

function serviceDefaults(service: Mutable<Service>): void {
  const { spec } = service;
  if (spec === undefined) return;
  spec.sessionAffinity ||= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'ClientIP') {
    const timeoutSeconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10800;
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds } };
  }
  spec.type ||= 'ClusterIP';
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP';
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '') port.targetPort = port.port;
  }
  if (externallyReachable(service)) spec.externalTrafficPolicy ||= 'Cluster';
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') {
    spec.allocateLoadBalancerNodePorts ??= true;
    for (const ingress of service.status?.loadBalancer?.ingress ?? []) if (ingress.ip !== undefined) ingress.ipMode ??= 'VIP';
  }
}

function externalAddress(service: Service): string {
  const { spec, status } = service;
  const external = (spec?.externalIPs ?? []).join(',');
  if (spec?.type === 'ExternalName') return spec.externalName ?? '';
  if (spec?.type !== 'LoadBalancer') return orNone(external);
  const balanced = (status?.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || '').filter((text) => text !== '');
  return [...balanced, ...(external === '' ? [] : [external])].join(',') || '<pending>';
}

const portsText = (service: Service): string =>
  orNone(
    (service.spec?.ports ?? [])
      .map((p) => (p.nodePort === undefined || p.nodePort === 0 ? `${p.port}/${p.protocol}` : `${p.port}:${p.nodePort}/${p.protocol}`))
      .join(','),
  );

export const serviceKind = defineKind(services, {
  warnings: serviceWarnings,
  returnsDeleted: true,
  validate: validateService,
  validateUpdate: validateServiceUpdate,
  validateStatusUpdate: validateServiceStatusUpdate,
  hasStatus: true,
  createOnUpdate: true,
  nameFormat: 'label',
  subresources: ['proxy'],
  defaults: serviceDefaults,
  selectableFields: {
    'spec.clusterIP': (object) => object.spec?.clusterIP ?? '',
    'spec.type': (object) => object.spec?.type ?? '',
  },
  table: {
    columns: [
      nameColumn,
      column('Type', 'How the service is exposed.'),
      column('Cluster-IP', 'The address of the service inside the cluster.'),
      column('External-IP', 'Addresses outside the cluster.'),
      column('Port(s)', 'The ports that the service exposes.'),
      ageColumn,
      selectorColumn,
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      object.spec?.type ?? '',
      orNone(object.spec?.clusterIPs?.[0] ?? object.spec?.clusterIP),
      externalAddress(object),
      portsText(object),
      ageOf(object, now),
      formatLabels(object.spec?.selector),
    ],
  },
});
