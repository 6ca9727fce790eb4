/** What namespaces' labels and the plugin's configuration say of pod security (k8s.io/pod-security-admission/api). */
import type { FieldError } from '#kube/status-error.ts';
import type { Level } from './pod-security-levels.ts';

export interface Policy {
  readonly level: Level;
  readonly version: string;
}

export interface Policies {
  readonly enforce: Policy;
  readonly audit: Policy;
  readonly warn: Policy;
}

export type Mode = keyof Policies;

/** PodSecurityConfiguration (pod-security.admission.config.k8s.io/v1). */
export interface PodSecuritySettings {
  readonly defaults: Policies;
  readonly exemptions: {
    readonly usernames: ReadonlySet<string>;
    readonly namespaces: ReadonlySet<string>;
    readonly runtimeClasses: ReadonlySet<string>;
  };
}

const open: Policy = { level: 'privileged', version: 'latest' };
export const noPodSecuritySettings: PodSecuritySettings = {
  defaults: { enforce: open, audit: open, warn: open },
  exemptions: { usernames: new Set(), namespaces: new Set(), runtimeClasses: new Set() },
};

const prefix = 'pod-security.kubernetes.io/';
export const levels: readonly string[] = ['privileged', 'baseline', 'restricted'];
export const isLevel = (text: string): text is Level => levels.includes(text);
export const isVersion = (text: string): boolean => text === 'latest' || /^v1\.(?:0|[1-9]\d*)$/.test(text);
export const modes: readonly Mode[] = ['enforce', 'audit', 'warn'];
export const levelProblem = 'must be one of privileged, baseline, restricted';
export const versionProblem = 'must be "latest" or "v1.x"';

type Labels = Readonly<Record<string, string>> | undefined;

/** What the labels say, and the defaults where they say nothing. A level that is none counts as restricted. Warnings are for what is enforced, too. */
export function policiesOf(labels: Labels, defaults: Policies): Policies {
  const policy = (mode: Mode, fallback: Policy): Policy => {
    const level = labels?.[prefix + mode] ?? fallback.level;
    const version = labels?.[`${prefix}${mode}-version`] ?? fallback.version;
    return { level: isLevel(level) ? level : 'restricted', version: isVersion(version) ? version : 'latest' };
  };
  const enforce = policy('enforce', defaults.enforce);
  const stricter =
    labels?.[`${prefix}enforce`] !== undefined &&
    labels[`${prefix}warn`] === undefined &&
    levels.indexOf(enforce.level) > levels.indexOf(defaults.warn.level);
  return { enforce, audit: policy('audit', defaults.audit), warn: policy('warn', stricter ? enforce : defaults.warn) };
}

/** What is wrong with the labels. */
export function labelErrors(labels: Labels): FieldError[] {
  const errors: FieldError[] = [];
  for (const mode of modes) {
    const level = labels?.[prefix + mode];
    const version = labels?.[`${prefix}${mode}-version`];
    const wrong = (key: string, value: string, why: string): number =>
      errors.push({
        field: `metadata.labels[${key}]`,
        type: 'FieldValueInvalid',
        message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
      });
    if (level !== undefined && !isLevel(level)) wrong(prefix + mode, level, levelProblem);
    if (version !== undefined && !isVersion(version)) wrong(`${prefix}${mode}-version`, version, versionProblem);
  }
  return errors;
}

export const samePolicy = (a: Policy, b: Policy): boolean => a.level === b.level && a.version === b.version;
export const policyText = ({ level, version }: Policy): string => `${level}:${version}`;
