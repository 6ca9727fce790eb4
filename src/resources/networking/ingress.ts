import type { IngressRule } from '#kube/generated/networking-v1.ts';
import { ingresses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn, orNone } from '../print.ts';
import { validateIngress, validateIngressStatusUpdate, validateIngressUpdate } from './validation.ts';

function hosts(rules: readonly IngressRule[]): string {
  const first = rules.slice(0, 3).flatMap((rule) => (rule.host ? [rule.host] : []));
  const named = first.length < 3 ? rules.flatMap((rule) => (rule.host ? [rule.host] : [])).slice(0, 3) : first;
  if (named.length === 0) return '*';
  return named.length === 3 && rules.length > 3 ? `${named.join(',')} + ${rules.length - 3} more...` : named.join(',');
}

const oldClass = 'kubernetes.io/ingress.class';

export const ingressKind = defineKind(ingresses, {
  warnings: (object, old) =>
    old === undefined && object.metadata.annotations !== undefined && Object.hasOwn(object.metadata.annotations, oldClass)
      ? [`annotation ${JSON.stringify(oldClass)} is deprecated, please use 'spec.ingressClassName' instead`]
      : [],
  validate: validateIngress,
  validateUpdate: validateIngressUpdate,
  validateStatusUpdate: validateIngressStatusUpdate,
  hasStatus: true,
  generation: 'spec',
  table: {
    columns: [
      nameColumn,
      column('Class', 'The name of the ingress class.'),
      column('Hosts', 'Hosts that incoming requests are matched against.'),
      column('Address', 'Where the load balancer is reached.'),
      column('Ports', 'The ports that are served.'),
      ageColumn,
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      orNone(object.spec?.ingressClassName),
      hosts(object.spec?.rules ?? []),
      (object.status?.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || '').join(','),
      (object.spec?.tls ?? []).length > 0 ? '80, 443' : '80',
      ageOf(object, now),
    ],
  },
});
