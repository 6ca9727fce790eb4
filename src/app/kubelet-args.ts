import { parseKubeletArgs } from '#kubelet/args.ts';
import type { CommonConfig } from './config.ts';
import { OptionError } from './options.ts';

/** --kubelet-arg in the form that the kubelet takes. */
export const kubeletArgs = (config: Pick<CommonConfig, 'node'>): readonly string[] =>
  [...config.node.kubeletArgs].map(([name, value]) => `${name}=${value}`);

/** Throws OptionError for a setting that the kubelet does not have, before anything is started. */
export function checkKubeletArgs(config: Pick<CommonConfig, 'node'>): void {
  try {
    parseKubeletArgs(kubeletArgs(config));
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error));
  }
}
