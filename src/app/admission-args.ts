/** The settings of --kube-apiserver-arg that are about admission. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  type AdmissionConfiguration,
  missingConfiguration,
  noAdmissionConfiguration,
  parseAdmissionConfiguration,
} from '#apiserver/admission/configuration.ts';
import { defaultTolerationSeconds, type TolerationSeconds } from '#apiserver/admission/default-toleration-seconds.ts';
import { type PluginChoice, pluginChoiceProblem } from '#apiserver/admission/plugin-order.ts';
import { OptionError } from './options.ts';

export const admissionArgs: readonly string[] = [
  'admission-control-config-file',
  'default-not-ready-toleration-seconds',
  'default-unreachable-toleration-seconds',
  'disable-admission-plugins',
  'enable-admission-plugins',
];

export interface AdmissionSettings {
  readonly tolerationSeconds: TolerationSeconds;
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
  const seconds = (name: string, fallback: number): number => {
    const text = args.get(name);
    if (text !== undefined && !/^-?\d{1,15}$/.test(text)) throw new OptionError(`kube-apiserver-arg: ${name}: "${text}" is not a number`);
    return text === undefined ? fallback : Number(text);
  };
  const tolerationSeconds = {
    notReady: seconds('default-not-ready-toleration-seconds', defaultTolerationSeconds.notReady),
    unreachable: seconds('default-unreachable-toleration-seconds', defaultTolerationSeconds.unreachable),
  };
  const file = args.get('admission-control-config-file');
  const configuration = file === undefined ? noAdmissionConfiguration : readConfiguration(file);
  const missing = missingConfiguration(choice, configuration);
  if (missing !== undefined) throw new OptionError(`kube-apiserver-arg: ${missing}`);
  return { choice, tolerationSeconds, configuration };
}
