/** Runs admission plugins: mutating ones in order, then, on the final object, validating ones. */
import type { AdmissionPlugin, AdmissionRequest } from '../contract.ts';

export interface AdmissionChain {
  /** Throws the StatusError of the plugin that refuses. */
  readonly admit: (request: AdmissionRequest) => Promise<void>;
  readonly validate: (request: AdmissionRequest) => Promise<void>;
}

export function createAdmissionChain(plugins: readonly AdmissionPlugin[]): AdmissionChain {
  const run = async (request: AdmissionRequest, stage: 'admit' | 'validate'): Promise<void> => {
    for (const plugin of plugins) {
      const step = plugin[stage];
      if (step === undefined || !plugin.handles(request)) continue;
      const pending = step(request);
      if (pending !== undefined) await pending;
    }
  };
  return { admit: (request) => run(request, 'admit'), validate: (request) => run(request, 'validate') };
}
