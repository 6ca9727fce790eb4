/** Figures of conversions by webhooks, under upstream's names. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { ConverterDeps } from './webhook-converter.ts';

/** Upstream's buckets: pkg/apiserver/conversion/metrics.go. */
const callBuckets = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 25, 30, 45, 60];
const conversionBuckets = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384];

/** Registers the figures; gives what notes a conversion. */
export function createConversionMetrics(registry: Registry): ConverterDeps['observe'] {
  const registers = [registry];
  const labelNames = ['result', 'failure_type'] as const;
  const calls = new Counter({
    name: 'apiserver_conversion_webhook_request_total',
    help: 'Counter for conversion webhook requests with success/failure and failure error type',
    labelNames,
    registers,
  });
  const latency = new Histogram({
    name: 'apiserver_conversion_webhook_duration_seconds',
    help: 'Conversion webhook request latency',
    labelNames,
    buckets: callBuckets,
    registers,
  });
  const conversions = new Histogram({
    name: 'apiserver_crd_conversion_webhook_duration_seconds',
    help: 'CRD webhook conversion duration in seconds',
    labelNames: ['crd_name', 'from_version', 'to_version', 'succeeded'],
    buckets: conversionBuckets,
    registers,
  });
  return ({ crd, from, to, failure, seconds }) => {
    const result = failure === '' ? 'success' : 'failure';
    calls.labels(result, failure).inc();
    latency.labels(result, failure).observe(seconds);
    conversions.labels(crd, from, to, String(failure === '')).observe(seconds);
  };
}
