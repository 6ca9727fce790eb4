/** Which APIServices are unavailable, under upstream's names: kube-aggregator pkg/controllers/status/metrics. */
import { Counter, Gauge, type Registry as MetricRegistry } from 'prom-client';
import { type ApiServices, availableCondition, isAvailable } from './api-services.ts';

/** Gives the function that adds the figures to a registry. */
export function availabilityMetrics(apiServices: ApiServices): (registry: MetricRegistry) => void {
  const total = new Counter({
    name: 'aggregator_unavailable_apiservice_total',
    help: 'Counter of APIServices which are marked as unavailable broken down by APIService name and reason.',
    labelNames: ['name', 'reason'],
    registers: [],
  });
  const now = new Gauge({
    name: 'aggregator_unavailable_apiservice',
    help: 'Gauge of APIServices which are marked as unavailable broken down by APIService name.',
    labelNames: ['name'],
    registers: [],
    collect() {
      this.reset();
      for (const object of apiServices.all()) this.set({ name: object.metadata.name }, isAvailable(object) ? 0 : 1);
    },
  });
  apiServices.onChange((name, object, before) => {
    if (object === undefined || before === undefined || isAvailable(object) || !isAvailable(before)) return;
    total.inc({ name, reason: availableCondition(object)?.reason ?? 'UnknownReason' });
  });
  return (registry) => {
    registry.registerMetric(total);
    registry.registerMetric(now);
  };
}
