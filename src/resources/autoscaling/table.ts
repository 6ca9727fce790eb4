import type { HorizontalPodAutoscaler, MetricSpec, MetricStatus } from '#kube/generated/autoscaling-v2.ts';
import type { TableDef } from '#kube/kind.ts';
import type { Quantity } from '#kube/schema.ts';
import { ageColumn, ageOf, column, nameColumn, orUnset } from '../print.ts';

const shown = (value: Quantity | undefined): string => (value === undefined ? '<unknown>' : String(value));

interface Target {
  readonly averageValue?: Quantity;
  readonly averageUtilization?: number;
  readonly value?: Quantity;
}

function resourceText(name: string, target: Target, current: Target | undefined): string {
  if (target.averageValue !== undefined) return `${name}: ${shown(current?.averageValue)}/${target.averageValue}`;
  const percent = (value: number | undefined, missing: string): string => (value === undefined ? missing : `${value}%`);
  return `${name}: ${percent(current?.averageUtilization, '<unknown>')}/${percent(target.averageUtilization, '<auto>')}`;
}

function valueText(target: Target, current: Target | undefined): string {
  if (target.averageValue !== undefined) return `${shown(current?.averageValue)}/${target.averageValue} (avg)`;
  return `${shown(current?.value)}/${target.value ?? 0}`;
}

function metricText(spec: MetricSpec, status: MetricStatus | undefined): string {
  const { external, pods, object, resource, containerResource } = spec;
  if (external !== undefined) return valueText(external.target, status?.external?.current);
  if (object !== undefined) return valueText(object.target, status?.object?.current);
  if (pods !== undefined) return `${shown(status?.pods?.current.averageValue)}/${pods.target.averageValue ?? 0}`;
  if (resource !== undefined) return resourceText(resource.name, resource.target, status?.resource?.current);
  if (containerResource !== undefined)
    return resourceText(containerResource.name, containerResource.target, status?.containerResource?.current);
  return '<unknown type>';
}

function metricsText(specs: readonly MetricSpec[], statuses: readonly MetricStatus[]): string {
  if (specs.length === 0) return '<none>';
  const list = specs.slice(0, 2).map((spec, i) => metricText(spec, statuses[i]));
  return specs.length > 2 ? `${list.join(', ')} + ${specs.length - 2} more...` : list.join(', ');
}

export const hpaTable: TableDef<HorizontalPodAutoscaler> = {
  columns: [
    nameColumn,
    column('Reference', 'What is scaled.'),
    column('Targets', 'Current and wanted values of the metrics.'),
    column('MinPods', 'The lower limit of replicas.'),
    column('MaxPods', 'The upper limit of replicas.'),
    column('Replicas', 'The current number of replicas.'),
    ageColumn,
  ],
  cells: (object, now) => {
    const { spec, status } = object;
    return [
      object.metadata.name ?? '',
      `${spec?.scaleTargetRef.kind}/${spec?.scaleTargetRef.name}`,
      metricsText(spec?.metrics ?? [], status?.currentMetrics ?? []),
      orUnset(spec?.minReplicas?.toString()),
      spec?.maxReplicas ?? 0,
      status?.currentReplicas ?? 0,
      ageOf(object, now),
    ];
  },
};
