/** Runs admission plugins: mutating ones in order, then, on the final object, validating ones. */
import type { Clock } from '#platform/clock.ts';
import type { AdmissionPlugin, AdmissionRequest, Reinvocation } from '../contract.ts';
import type { AdmissionMetrics, Stage } from './admission-metrics.ts';

export interface AdmissionChain {
  /**
   * Throws the StatusError of the plugin that refuses. When a webhook or policy has changed the object, all plugins run once more;
   * webhooks and policies then decide for themselves which of them are asked again.
   */
  readonly admit: (request: AdmissionRequest) => Promise<void>;
  readonly validate: (request: AdmissionRequest) => Promise<void>;
}

/** Runs a plugin's step and counts it. */
async function observed(
  metrics: AdmissionMetrics,
  clock: Pick<Clock, 'monotonic'>,
  plugin: AdmissionPlugin,
  stage: Stage,
  r: AdmissionRequest,
  step: () => void | Promise<void>,
): Promise<void> {
  const start = clock.monotonic();
  let rejected = true;
  try {
    const pending = step();
    if (pending !== undefined) await pending;
    rejected = false;
  } finally {
    metrics.observePlugin(plugin.name, stage, r.operation, rejected, (clock.monotonic() - start) / 1000);
  }
}

export interface ChainDeps {
  readonly metrics: AdmissionMetrics;
  readonly clock: Pick<Clock, 'monotonic'>;
}

export function createAdmissionChain(plugins: readonly AdmissionPlugin[], { metrics, clock }: ChainDeps): AdmissionChain {
  const mutating = plugins.filter((p) => p.admit !== undefined);
  const validating = plugins.filter((p) => p.validate !== undefined);
  const stage = async (name: Stage, r: AdmissionRequest, run: () => Promise<void>): Promise<void> => {
    const start = clock.monotonic();
    let rejected = true;
    try {
      await run();
      rejected = false;
    } finally {
      metrics.observeStage(name, r.operation, rejected, (clock.monotonic() - start) / 1000);
    }
  };
  return {
    admit: async (request) => {
      const reinvocation: Reinvocation = { again: false, wanted: false };
      const r = { ...request, reinvocation };
      const round = async (): Promise<void> => {
        for (const plugin of mutating) if (plugin.handles(r)) await observed(metrics, clock, plugin, 'admit', r, () => plugin.admit?.(r));
      };
      await stage('admit', r, async () => {
        await round();
        if (!reinvocation.wanted) return;
        reinvocation.again = true;
        await round();
      });
    },
    validate: async (request) =>
      await stage('validate', request, async () => {
        for (const plugin of validating)
          if (plugin.handles(request)) await observed(metrics, clock, plugin, 'validate', request, () => plugin.validate?.(request));
      }),
  };
}
