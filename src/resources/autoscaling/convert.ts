/**
 * HorizontalPodAutoscaler between autoscaling/v1 and the stored autoscaling/v2. What v1 has no fields for travels in
 * annotations, as upstream's pkg/apis/autoscaling/v1/conversion.go does it.
 */
import type * as v1 from '#kube/generated/autoscaling-v1.ts';
import type * as v2 from '#kube/generated/autoscaling-v2.ts';
import type { Draft } from '#kube/kind.ts';

const annotation = {
  metrics: 'autoscaling.alpha.kubernetes.io/metrics',
  behavior: 'autoscaling.alpha.kubernetes.io/behavior',
  conditions: 'autoscaling.alpha.kubernetes.io/conditions',
  currentMetrics: 'autoscaling.alpha.kubernetes.io/current-metrics',
} as const;

/** An object without the fields that are undefined. */
function compact<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

const utilization = (percent: number | undefined): v2.MetricTarget | undefined =>
  percent === undefined ? undefined : { type: 'Utilization', averageUtilization: percent };
const average = (value: v2.MetricTarget['averageValue']): v2.MetricTarget | undefined =>
  value === undefined ? undefined : { type: 'AverageValue', averageValue: value };
const absolute = (value: v2.MetricTarget['value']): v2.MetricTarget | undefined =>
  value === undefined ? undefined : { type: 'Value', value };
const noTarget: v2.MetricTarget = { type: 'Value' };

function metricToV2(m: v1.MetricSpec): v2.MetricSpec {
  const { resource, containerResource, pods, object, external } = m;
  return compact<v2.MetricSpec>({
    type: m.type,
    resource: resource && {
      name: resource.name,
      target: utilization(resource.targetAverageUtilization) ?? average(resource.targetAverageValue) ?? noTarget,
    },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      target: utilization(containerResource.targetAverageUtilization) ?? average(containerResource.targetAverageValue) ?? noTarget,
    },
    pods: pods && {
      metric: compact<v2.MetricIdentifier>({ name: pods.metricName, selector: pods.selector }),
      target: average(pods.targetAverageValue) ?? noTarget,
    },
    object: object && {
      describedObject: object.target,
      metric: compact<v2.MetricIdentifier>({ name: object.metricName, selector: object.selector }),
      target: average(object.averageValue) ?? absolute(object.targetValue) ?? noTarget,
    },
    external: external && {
      metric: compact<v2.MetricIdentifier>({ name: external.metricName, selector: external.metricSelector }),
      target: absolute(external.targetValue) ?? average(external.targetAverageValue) ?? noTarget,
    },
  });
}

function metricToV1(m: v2.MetricSpec): v1.MetricSpec {
  const { resource, containerResource, pods, object, external } = m;
  return compact<v1.MetricSpec>({
    type: m.type,
    resource:
      resource &&
      compact<v1.ResourceMetricSource>({
        name: resource.name,
        targetAverageUtilization: resource.target.averageUtilization,
        targetAverageValue: resource.target.averageValue,
      }),
    containerResource:
      containerResource &&
      compact<v1.ContainerResourceMetricSource>({
        name: containerResource.name,
        container: containerResource.container,
        targetAverageUtilization: containerResource.target.averageUtilization,
        targetAverageValue: containerResource.target.averageValue,
      }),
    pods:
      pods &&
      compact<v1.PodsMetricSource>({
        metricName: pods.metric.name,
        selector: pods.metric.selector,
        targetAverageValue: pods.target.averageValue ?? '0',
      }),
    object:
      object &&
      compact<v1.ObjectMetricSource>({
        target: object.describedObject,
        metricName: object.metric.name,
        selector: object.metric.selector,
        targetValue: object.target.value ?? '0',
        averageValue: object.target.averageValue,
      }),
    external:
      external &&
      compact<v1.ExternalMetricSource>({
        metricName: external.metric.name,
        metricSelector: external.metric.selector,
        targetValue: external.target.value,
        targetAverageValue: external.target.averageValue,
      }),
  });
}

function statusToV2(m: v1.MetricStatus): v2.MetricStatus {
  const { resource, containerResource, pods, object, external } = m;
  return compact<v2.MetricStatus>({
    type: m.type,
    resource: resource && {
      name: resource.name,
      current: compact<v2.MetricValueStatus>({
        averageUtilization: resource.currentAverageUtilization,
        averageValue: resource.currentAverageValue,
      }),
    },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      current: compact<v2.MetricValueStatus>({
        averageUtilization: containerResource.currentAverageUtilization,
        averageValue: containerResource.currentAverageValue,
      }),
    },
    pods: pods && {
      metric: compact<v2.MetricIdentifier>({ name: pods.metricName, selector: pods.selector }),
      current: { averageValue: pods.currentAverageValue },
    },
    object: object && {
      describedObject: object.target,
      metric: compact<v2.MetricIdentifier>({ name: object.metricName, selector: object.selector }),
      current: compact<v2.MetricValueStatus>({ value: object.currentValue, averageValue: object.averageValue }),
    },
    external: external && {
      metric: compact<v2.MetricIdentifier>({ name: external.metricName, selector: external.metricSelector }),
      current: compact<v2.MetricValueStatus>({ value: external.currentValue, averageValue: external.currentAverageValue }),
    },
  });
}

function statusToV1(m: v2.MetricStatus): v1.MetricStatus {
  const { resource, containerResource, pods, object, external } = m;
  return compact<v1.MetricStatus>({
    type: m.type,
    resource:
      resource &&
      compact<v1.ResourceMetricStatus>({
        name: resource.name,
        currentAverageUtilization: resource.current.averageUtilization,
        currentAverageValue: resource.current.averageValue ?? '0',
      }),
    containerResource:
      containerResource &&
      compact<v1.ContainerResourceMetricStatus>({
        name: containerResource.name,
        container: containerResource.container,
        currentAverageUtilization: containerResource.current.averageUtilization,
        currentAverageValue: containerResource.current.averageValue ?? '0',
      }),
    pods:
      pods &&
      compact<v1.PodsMetricStatus>({
        metricName: pods.metric.name,
        selector: pods.metric.selector,
        currentAverageValue: pods.current.averageValue ?? '0',
      }),
    object:
      object &&
      compact<v1.ObjectMetricStatus>({
        target: object.describedObject,
        metricName: object.metric.name,
        selector: object.metric.selector,
        currentValue: object.current.value ?? '0',
        averageValue: object.current.averageValue,
      }),
    external:
      external &&
      compact<v1.ExternalMetricStatus>({
        metricName: external.metric.name,
        metricSelector: external.metric.selector,
        currentValue: external.current.value ?? '0',
        currentAverageValue: external.current.averageValue,
      }),
  });
}

/** The parsed JSON of an annotation; undefined where it is absent or broken, as upstream ignores it then. */
function annotated<T>(annotations: Readonly<Record<string, string>>, key: string): T | undefined {
  const text = annotations[key];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}

const listOf = <T>(value: readonly T[] | undefined): readonly T[] => (Array.isArray(value) ? (value as readonly T[]) : []);

const isCpuUtilization = (m: v2.MetricSpec): boolean =>
  m.type === 'Resource' && m.resource?.name === 'cpu' && m.resource.target.averageUtilization !== undefined;

function withAnnotations(
  object: Draft,
  apiVersion: string,
  changes: Readonly<Record<string, unknown>>,
): Pick<Draft, 'apiVersion' | 'kind' | 'metadata'> {
  const annotations: Record<string, string> = { ...object.metadata.annotations };
  for (const key of Object.values(annotation)) delete annotations[key];
  for (const [key, value] of Object.entries(changes)) if (value !== undefined) annotations[key] = JSON.stringify(value);
  const { annotations: _old, ...metadata } = object.metadata;
  const kept = Object.keys(annotations).length === 0 ? metadata : { ...metadata, annotations };
  return { kind: object.kind, apiVersion, metadata: kept };
}

const nonEmpty = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);

/** autoscaling/v1 → autoscaling/v2. */
export function hpaToV2(object: Draft): Draft {
  const from = object as unknown as v1.HorizontalPodAutoscaler;
  const annotations = from.metadata.annotations ?? {};
  const { targetCPUUtilizationPercentage: cpu, ...spec } = from.spec;
  const { currentCPUUtilizationPercentage: currentCpu, ...status } = from.status ?? { currentReplicas: 0, desiredReplicas: 0 };
  const cpuMetric: v2.MetricSpec[] =
    cpu === undefined ? [] : [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: cpu } } }];
  const cpuStatus: v2.MetricStatus[] =
    currentCpu === undefined ? [] : [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: currentCpu } } }];
  const metrics = [...listOf(annotated<v1.MetricSpec[]>(annotations, annotation.metrics)).map(metricToV2), ...cpuMetric];
  const noted = listOf(annotated<v1.MetricStatus[]>(annotations, annotation.currentMetrics)).map(statusToV2);
  return {
    ...withAnnotations(object, 'autoscaling/v2', {}),
    spec: compact<v2.HorizontalPodAutoscalerSpec>({
      ...spec,
      metrics: nonEmpty(metrics),
      behavior: annotated<v2.HorizontalPodAutoscalerBehavior>(annotations, annotation.behavior),
    }),
    status: compact<v2.HorizontalPodAutoscalerStatus>({
      ...status,
      currentMetrics: nonEmpty(noted.length > 0 ? noted : cpuStatus),
      conditions: nonEmpty(listOf(annotated<v2.HorizontalPodAutoscalerCondition[]>(annotations, annotation.conditions))),
    }),
  };
}

/** autoscaling/v2 → autoscaling/v1. */
export function hpaFromV2(object: Draft): Draft {
  const from = object as unknown as v2.HorizontalPodAutoscaler;
  const { metrics = [], behavior, ...spec } = from.spec;
  const { currentMetrics = [], conditions = [], ...status } = from.status ?? { desiredReplicas: 0 };
  const cpu = metrics.find(isCpuUtilization)?.resource?.target.averageUtilization;
  const currentCpu = currentMetrics.find((m) => m.type === 'Resource' && m.resource?.name === 'cpu')?.resource?.current.averageUtilization;
  return {
    ...withAnnotations(object, 'autoscaling/v1', {
      [annotation.metrics]: nonEmpty(metrics.filter((m) => !isCpuUtilization(m)).map(metricToV1)),
      [annotation.behavior]: behavior,
      [annotation.conditions]: nonEmpty(conditions),
      [annotation.currentMetrics]: nonEmpty(currentMetrics.map(statusToV1)),
    }),
    spec: compact<v1.HorizontalPodAutoscalerSpec>({ ...spec, targetCPUUtilizationPercentage: cpu }),
    status: compact<v1.HorizontalPodAutoscalerStatus>({ currentReplicas: 0, ...status, currentCPUUtilizationPercentage: currentCpu }),
  };
}
