/** The settings of --kube-apiserver-arg that are about admission. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type AdmissionConfiguration, noAdmissionConfiguration, parseAdmissionConfiguration } from '#apiserver/admission/configuration.ts';
import { type PluginChoice, pluginChoiceProblem } from '#apiserver/admission/plugin-order.ts';
import { OptionError } from './options.ts';

export const admissionArgs: readonly string[] = ['admission-control-config-file', 'disable-admission-plugins', 'enable-admission-plugins'];

export interface AdmissionSettings {
  readonly choice: PluginChoice;
  readonly configuration: AdmissionConfiguration;
}

function readConfiguration(file: string): AdmissionConfiguration {
  try {
    const read = (path: string): string => readFileSync(resolve(dirname(file), path), 'utf8');
    return parseAdmissionConfiguration(read(file), read);
  } catch (error) {
    throw new OptionError(`kube-apiserver-arg: admission-control-config-file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Throws OptionError for a plugin that does not exist or a configuration that is none. */
export function admissionSettings(args: ReadonlyMap<string, string>): AdmissionSettings {
  const list = (name: string): string[] =>
    (args.get(name) ?? '')
      .split(',')
      .map((v) => v.trim())
      .filter((v) => v !== '');
  const choice = { enabled: list('enable-admission-plugins'), disabled: list('disable-admission-plugins') };
  const problem = pluginChoiceProblem(choice);
  if (problem !== undefined) throw new OptionError(`kube-apiserver-arg: ${problem}`);
  const file = args.get('admission-control-config-file');
  return { choice, configuration: file === undefined ? noAdmissionConfiguration : readConfiguration(file) };
}
