/** What --kube-apiserver-arg may set: kube-apiserver's own flag names. */
import { readFileSync } from 'node:fs';
import { parseGoDuration } from '#lib/go-duration.ts';
import { type AdmissionSettings, admissionArgs, admissionSettings } from './admission-args.ts';
import { OptionError } from './options.ts';
import { securityArgs } from './security-args.ts';

export interface ApiserverSettings {
  readonly anonymous: boolean;
  /** The first signs; all are accepted. */
  readonly issuers: readonly string[];
  readonly audiences: readonly string[] | undefined;
  /** Contents of --token-auth-file. */
  readonly tokenFile: string | undefined;
  readonly requestTimeoutMs: number | undefined;
  /** How long the store keeps history. Infinite where upstream's flag is 0: no compaction by age. */
  readonly historyMs: number | undefined;
  readonly admission: AdmissionSettings;
}

const boolean = (name: string, text: string): boolean => {
  if (text !== 'true' && text !== 'false') throw new OptionError(`kube-apiserver-arg: ${name}: "${text}" is neither true nor false`);
  return text === 'true';
};

/** A Go duration such as 1m30s, in milliseconds. */
function duration(name: string, text: string): number {
  const ms = parseGoDuration(text);
  if (ms === undefined || ms < 0) throw new OptionError(`kube-apiserver-arg: ${name}: "${text}" is not a duration such as 1m30s`);
  return ms;
}

const known: readonly string[] = [
  'anonymous-auth',
  'api-audiences',
  'etcd-compaction-interval',
  'request-timeout',
  'service-account-issuer',
  'token-auth-file',
  ...admissionArgs,
  ...securityArgs,
];

/** Throws OptionError for a setting that does not exist or has a bad value. */
export function apiserverSettings(args: ReadonlyMap<string, string>): ApiserverSettings {
  for (const name of args.keys()) {
    if (!known.includes(name)) throw new OptionError(`kube-apiserver-arg: "${name}" is not a setting; there are ${known.join(', ')}`);
  }
  const list = (name: string): readonly string[] | undefined =>
    args
      .get(name)
      ?.split(',')
      .filter((v) => v !== '');
  const tokenFile = args.get('token-auth-file');
  const timeout = args.get('request-timeout');
  const interval = args.get('etcd-compaction-interval');
  let tokens: string | undefined;
  try {
    tokens = tokenFile === undefined ? undefined : readFileSync(tokenFile, 'utf8');
  } catch (error) {
    throw new OptionError(`kube-apiserver-arg: token-auth-file: ${error instanceof Error ? error.message : String(error)}`);
  }
  return {
    anonymous: boolean('anonymous-auth', args.get('anonymous-auth') ?? 'true'),
    issuers: list('service-account-issuer') ?? ['https://kubernetes.default.svc.cluster.local'],
    audiences: list('api-audiences'),
    tokenFile: tokens,
    historyMs: interval === undefined ? undefined : duration('etcd-compaction-interval', interval) || Number.POSITIVE_INFINITY,
    requestTimeoutMs: timeout === undefined ? undefined : duration('request-timeout', timeout),
    admission: admissionSettings(args),
  };
}
