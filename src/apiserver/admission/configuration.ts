/** The file of --admission-control-config-file: AdmissionConfiguration (apiserver.config.k8s.io/v1). */
import { parse } from 'yaml';
import { isArray, isObject, type JsonObject, own } from '#kube/json-value.ts';
import { readFields, readText } from '../config-fields.ts';
import { type CredentialsFor, parseWebhookUsers, type ReadFile } from '../webhook-config.ts';
import { type EventLimit, parseEventLimits } from './event-rate-limit.ts';
import { type ImagePolicy, parseImagePolicy } from './image-policy.ts';
import type { NodeSelectors } from './optional-pods.ts';
import type { PluginChoice } from './plugin-order.ts';
import {
  isLevel,
  isVersion,
  levelProblem,
  modes,
  noPodSecuritySettings,
  type PodSecuritySettings,
  versionProblem,
} from './pod-security-policy.ts';

/** What plugins may be configured with. */
export interface AdmissionConfiguration {
  readonly podSecurity: PodSecuritySettings;
  readonly nodeSelectors: NodeSelectors;
  /** Absent: EventRateLimit cannot be on. */
  readonly eventLimits?: readonly EventLimit[];
  /** Absent: ImagePolicyWebhook cannot be on. */
  readonly imagePolicy?: ImagePolicy;
  /** With what webhooks are called. */
  readonly mutatingCredentials?: CredentialsFor;
  readonly validatingCredentials?: CredentialsFor;
}

export const noAdmissionConfiguration: AdmissionConfiguration = { podSecurity: noPodSecuritySettings, nodeSelectors: {} };

const members = (object: JsonObject, name: string): JsonObject => {
  const value = own(object, name) ?? {};
  if (!isObject(value)) throw new Error(`${name}: must be an object`);
  return value;
};

function strings(object: JsonObject, name: string): string[] {
  const value = own(object, name) ?? [];
  if (!isArray(value) || !value.every((v) => typeof v === 'string')) throw new Error(`${name}: must be a list of strings`);
  return value;
}

function onlyFields(object: JsonObject, ...known: readonly string[]): void {
  const unknown = Object.keys(object).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`unknown field ${JSON.stringify(unknown)}`);
}

function podSecurity(config: JsonObject): PodSecuritySettings {
  onlyFields(config, 'apiVersion', 'kind', 'defaults', 'exemptions');
  const versions = ['v1', 'v1beta1', 'v1alpha1'].map((v) => `pod-security.admission.config.k8s.io/${v}`);
  if (config['kind'] !== 'PodSecurityConfiguration' || !versions.includes(String(config['apiVersion'] as string)))
    throw new Error('must be a PodSecurityConfiguration of pod-security.admission.config.k8s.io/v1');
  const given = members(config, 'defaults');
  onlyFields(given, ...modes, ...modes.map((mode) => `${mode}-version`));
  const policy = (mode: (typeof modes)[number]) => {
    const level = own(given, mode) ?? 'privileged';
    const version = own(given, `${mode}-version`) ?? 'latest';
    if (typeof level !== 'string' || !isLevel(level)) throw new Error(`defaults.${mode}: ${levelProblem}`);
    if (typeof version !== 'string' || !isVersion(version)) throw new Error(`defaults.${mode}-version: ${versionProblem}`);
    return { level, version };
  };
  const exemptions = members(config, 'exemptions');
  onlyFields(exemptions, 'usernames', 'namespaces', 'runtimeClasses');
  return {
    defaults: { enforce: policy('enforce'), audit: policy('audit'), warn: policy('warn') },
    exemptions: {
      usernames: new Set(strings(exemptions, 'usernames')),
      namespaces: new Set(strings(exemptions, 'namespaces')),
      runtimeClasses: new Set(strings(exemptions, 'runtimeClasses')),
    },
  };
}

function nodeSelectors(config: JsonObject): NodeSelectors {
  const selectors = members(config, 'podNodeSelectorPluginConfig');
  return Object.fromEntries(
    Object.entries(selectors).map(([name, value]) => {
      if (typeof value !== 'string') throw new Error(`podNodeSelectorPluginConfig.${name}: must be a string`);
      return [name, value];
    }),
  );
}

/** A WebhookAdmissionConfiguration: k8s.io/apiserver pkg/admission/plugin/webhook/config. */
function webhookCredentials(config: JsonObject, readFile: ReadFile): CredentialsFor | undefined {
  const fields = readFields(config, '', ['apiVersion', 'kind', 'kubeConfigFile']);
  const versions = ['apiserver.config.k8s.io/v1', 'apiserver.config.k8s.io/v1alpha1'];
  if (fields['kind'] !== 'WebhookAdmissionConfiguration' && fields['kind'] !== 'WebhookAdmission')
    throw new Error('must be a WebhookAdmissionConfiguration of apiserver.config.k8s.io/v1');
  if (!versions.includes(readText(fields, 'apiVersion', ''))) throw new Error(`apiVersion: must be ${versions[0]}`);
  const file = readText(fields, 'kubeConfigFile', '');
  if (file === '') return undefined;
  if (!file.startsWith('/')) throw new Error(`kubeConfigFile: Invalid value: ${JSON.stringify(file)}: must be an absolute file path`);
  return parseWebhookUsers(file, readFile);
}

const only = <K extends keyof AdmissionConfiguration>(
  key: K,
  value: AdmissionConfiguration[K] | undefined,
): Partial<AdmissionConfiguration> => (value === undefined ? {} : { [key]: value });

const readers: Readonly<Record<string, (config: JsonObject, readFile: ReadFile) => Partial<AdmissionConfiguration>>> = {
  EventRateLimit: (config) => ({ eventLimits: parseEventLimits(config) }),
  ImagePolicyWebhook: (config, readFile) => ({ imagePolicy: parseImagePolicy(config, readFile) }),
  MutatingAdmissionWebhook: (config, readFile) => only('mutatingCredentials', webhookCredentials(config, readFile)),
  ValidatingAdmissionWebhook: (config, readFile) => only('validatingCredentials', webhookCredentials(config, readFile)),
  PodSecurity: (config) => ({ podSecurity: podSecurity(config) }),
  PodNodeSelector: (config) => ({ nodeSelectors: nodeSelectors(config) }),
};

/** `readFile`: what `path` of a plugin names, relative to the configuration's own file. Throws Error that says what is wrong. */
export function parseAdmissionConfiguration(text: string, readFile: ReadFile): AdmissionConfiguration {
  const file: unknown = parse(text);
  if (!isObject(file) || file['kind'] !== 'AdmissionConfiguration') throw new Error('the file holds no AdmissionConfiguration');
  onlyFields(file, 'apiVersion', 'kind', 'plugins');
  const plugins = own(file, 'plugins') ?? [];
  if (!isArray(plugins)) throw new Error('plugins: must be a list');
  let made = noAdmissionConfiguration;
  for (const [i, plugin] of plugins.entries()) {
    try {
      if (!isObject(plugin) || typeof plugin['name'] !== 'string') throw new Error('has no name');
      onlyFields(plugin, 'name', 'path', 'configuration');
      const { name, path, configuration } = plugin;
      const reader = Object.hasOwn(readers, name) ? readers[name] : undefined;
      if (reader === undefined) throw new Error(`the plugin ${JSON.stringify(name)} takes no configuration`);
      const config: unknown = typeof path === 'string' && path !== '' ? parse(readFile(path)) : configuration;
      made = { ...made, ...reader(isObject(config) ? config : {}, readFile) };
    } catch (error) {
      throw new Error(`plugins[${i}]: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
  return made;
}

/** Plugins that are on and lack what they cannot do without, in upstream's words; undefined: none. */
export function missingConfiguration({ enabled }: PluginChoice, { eventLimits, imagePolicy }: AdmissionConfiguration): string | undefined {
  const lacking = (name: string, value: unknown, why: string): string | undefined =>
    enabled.includes(name) && value === undefined ? `couldn't init admission plugin ${JSON.stringify(name)}: ${why}` : undefined;
  return (
    lacking('ImagePolicyWebhook', imagePolicy, 'no config specified') ??
    lacking('EventRateLimit', eventLimits, 'limits: Invalid value: null: must not be empty')
  );
}
