/** How long the rules of definitions take, under upstream's names (k8s.io/apiserver pkg/cel/metrics); here each expression by itself. */
import { Histogram, type Registry } from 'prom-client';
import type { CelTimes } from '#kube/cel.ts';

export function createCelMetrics(registry: Registry): CelTimes {
  const histogram = (what: string): Histogram =>
    new Histogram({
      name: `apiserver_cel_${what}_duration_seconds`,
      help: `CEL ${what} time in seconds.`,
      registers: [registry],
    });
  const compilation = histogram('compilation');
  const evaluation = histogram('evaluation');
  return {
    compiled: (seconds) => compilation.observe(seconds),
    evaluated: (seconds) => evaluation.observe(seconds),
  };
}
